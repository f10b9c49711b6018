"""How commands end: messages, and the exit status."""

import os
import subprocess
import sys

import pytest

from tests.headway.cli.imagined_server import JOB, Reply, Server, headway, problem


def test_every_fault_is_named(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    faults = [{"pointer": "/params/a", "message": "give a number"}, {"pointer": "", "message": "x"}]
    server["POST /jobs"] = problem(422, "invalid", "correct the params", errors=faults)
    assert headway("submit", "story") == 2
    assert capsys.readouterr().err == (
        "headway: correct the params\n  /params/a: give a number\n  (whole request): x\n"
    )


@pytest.mark.parametrize(("status", "code"), [(409, 2), (429, 2), (503, 3), (507, 3)])
def test_a_rejection_exits_with_two_and_a_broken_server_with_three(
    server: Server, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    reply = problem(status, "wrong_state", "no")
    reply.headers["Retry-After"] = "5"
    server["GET /jobs/job-1"] = reply
    assert headway("show", "job-1") == code
    assert capsys.readouterr().err == "headway: no\nTry again in 5 s.\n"


def test_no_server_exits_with_three(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("headway.client.session.RETRY_DELAYS_S", (0.0,))
    assert headway("list", "--url", "http://127.0.0.1:9") == 3
    err = capsys.readouterr().err
    assert "headway: no headway server answers at http://127.0.0.1:9: connection refused." in err
    assert "headway serve" in err


@pytest.mark.parametrize("argv", [["log", "job-1"], ["list"]])
def test_a_closed_pipe_is_no_error(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
) -> None:
    server["GET /jobs/job-1/log"] = Reply(b"x" * 1_000_000, content_type="text/plain")
    server["GET /jobs"] = {"jobs": [JOB], "next_cursor": None, "counts": {}}
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert headway(*argv) == 141
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        (
            "headway.__main__",
            "httpx pydantic rich trio quart apsw structlog serve web storage actors config",
        ),
        # Quart comes when the port is open.
        ("serve", "quart flask jinja2 werkzeug hypercorn.asyncio httpx"),
    ],
)
def test_a_start_imports_no_heavy_module(module: str, heavy: str) -> None:
    code = f"import sys, {module}; print(sorted({{*{heavy.split()}}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "[]\n", done.stderr
