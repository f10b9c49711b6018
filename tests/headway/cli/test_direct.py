"""`headway direct` against an imagined server."""

import os
import signal
from typing import Any

import pytest

from tests.headway.cli.imagined_server import FAILED_RUN, RUN, Reply, Server, headway


@pytest.mark.parametrize(("run", "code"), [(RUN, 0), (FAILED_RUN, 1)])
def test_direct_prints_the_output(
    server: Server, capsys: pytest.CaptureFixture[str], run: dict[str, Any], code: int
) -> None:
    server["POST /direct/story"] = run | {"job_id": None, "log_tail": "hello\n"}
    assert headway("direct", "story", "--param", "max_stories=2") == code
    out, err = capsys.readouterr()
    assert out == "hello\n"
    assert f"{run['status']} after 1 min 5 s" in err
    assert server.sent("POST /direct/story").body == {"params": {"max_stories": 2}}


def test_an_interrupted_direct_run_is_abandoned(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt = Reply({}, before=lambda: os.kill(os.getpid(), signal.SIGINT))
    server["POST /direct/story"] = interrupt
    assert headway("direct", "story") == 130
    assert "was abandoned" in capsys.readouterr().err
