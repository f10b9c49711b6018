"""Events of the server through the client."""

from tests.headway.client.scripted import (
    Server,
    stream,
)


def test_events_are_requested_by_their_subject() -> None:
    server = Server(stream(b": hello\n\n"))
    with server.client() as client:
        next(client.events("job-1", after=4, kind=["run.", "job.due"], type=["story"]))
    assert server.last.url.params.multi_items() == [
        ("job_id", "job-1"), ("after", "4"), ("kind", "run."), ("kind", "job.due"),
        ("type", "story"),
    ]  # fmt: skip
