"""Direct runs through the client."""

from tests.headway.client.scripted import (
    Server,
)
from tests.headway.sample import run


def test_a_direct_run_is_waited_for_without_end() -> None:
    server = Server(run(job_id=None, log_tail="hello\n"))
    with server.client() as client:
        assert client.direct("story", {"n": 1}).log_tail == "hello\n"
    assert server.last.extensions["timeout"]["read"] is None
    assert server.body == {"params": {"n": 1}}
