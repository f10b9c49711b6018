"""A server whose standard error is full, closed, unread or lost goes on, and ends as it should."""

import fcntl
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.server import Server
from tests.eventually import DEADLINE_S
from tests.server_process import HEADWAY

PIPE_BYTES = 4096
DROPPED = re.compile(r"^headway_log_lines_dropped_total ([0-9.]+)$", re.M)


class Target:
    """What a server's standard error is connected to. `loses`: whether lines are dropped."""

    redirection = "2>/dev/full"
    loses = True

    def __init__(self, path: Path, stack: ExitStack) -> None: ...

    def break_(self) -> None:
        """Make it fail, once the server is ready."""


class Full(Target):
    """A disk without space."""


class Closed(Target):
    redirection = "2>&-"
    loses = False


class AllClosed(Target):
    redirection = "0<&- 1>&- 2>&-"
    loses = False


class UnreadPipe(Target):
    """A reader that reads nothing."""

    loses = False

    def __init__(self, path: Path, stack: ExitStack) -> None:
        os.mkfifo(path)
        self.redirection = f"2>{path}"
        self._ends = [os.open(path, os.O_RDONLY | os.O_NONBLOCK)]
        stack.callback(self._close)
        fcntl.fcntl(self._ends[0], fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def _close(self) -> None:
        while self._ends:
            os.close(self._ends.pop())


class ClosedPipe(UnreadPipe):
    """A reader that leaves."""

    loses = True

    def break_(self) -> None:
        self._close()


class LostTerminal(Target):
    """A terminal whose window is closed."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        window, terminal = pty.openpty()
        self.redirection = f"2>{os.ttyname(terminal)}"
        os.close(terminal)
        self._ends = [window]
        stack.callback(self.break_)

    def break_(self) -> None:
        while self._ends:
            os.close(self._ends.pop())


REDIRECTIONS = [target.redirection for target in (Full, Closed, AllClosed)]
TARGETS = (Full, Closed, AllClosed, UnreadPipe, ClosedPipe, LostTerminal)


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    with ExitStack() as stack:
        yield request.param(tmp_path / "pipe", stack)


def redirected(redirection: str) -> list[str]:
    """Words before a command, so that its standard error goes elsewhere."""
    return ["sh", "-c", f'exec "$@" {redirection}', "sh"]


@pytest.fixture
def start(launch: Callable[..., Any]) -> Callable[[Target], Any]:
    """Starts a server that says where it listens to no reader."""

    def start(target: Target) -> Any:
        server = launch(start=False)
        server.prefix = redirected(target.redirection)
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            bind = f"127.0.0.1:{probe.getsockname()[1]}"

        def is_ready() -> bool:
            assert not server.process.ended, "it ended while starting"
            with suppress(httpx.TransportError):
                return httpx.get(f"http://{bind}/ready").status_code == 200
            return False

        def await_url() -> None:
            server.eventually(is_ready, "it listens")
            server.process.url = f"http://{bind}"

        server._await_url = await_url
        server.start("--bind", bind)
        target.break_()
        return server

    return start


def dropped(server: Server) -> float:
    found = DROPPED.search(server.client.get("/metrics").text)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_a_log_that_cannot_be_written_ends_and_delays_nothing(
    target: Target, start: Callable[[Target], Any], gate: Any
) -> None:
    server = start(target)
    links = [os.readlink(f"/proc/{server.pid}/fd/{fd}") for fd in range(3)]
    assert not any(str(server.data_dir) in link or "anon_inode" in link for link in links)
    held = server.hold(gate)["job_id"]
    for _ in range(60):  # lines of more than a pipe's buffer
        server.submit("ok")
    gate.open()
    assert server.until(held)["status"] == "COMPLETED"
    server.eventually(lambda: server.status()["queue_length"] == 0, "all have run")
    assert server.get("/scheduler/status")["cumulative_stats"]["failed"] == 0
    assert server.client.get("/ready").status_code == 200
    if target.loses:
        server.eventually(lambda: dropped(server) > 0, "what is lost is counted")
    else:
        assert dropped(server) == 0
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


@pytest.mark.parametrize("redirection", REDIRECTIONS)
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["serve", "--bind", "256.0.0.1:x"], 2),
        (["serve", "--data-dir", "/proc/none"], 1),
        (["verify", "--data-dir", "/proc/none"], 2),
        (["check", "/proc/none"], 2),
    ],
)
def test_the_exit_status_is_right_when_the_reason_cannot_be_written(
    redirection: str, arguments: list[str], status: int, tmp_path: Path
) -> None:
    command: list[str | Path] = [*redirected(redirection), HEADWAY, *arguments]
    assert subprocess.run(command, timeout=DEADLINE_S, cwd=tmp_path).returncode == status


def test_a_log_on_the_full_disk_of_the_data_waits_for_space_with_it(
    small_disk: Any, launch: Callable[..., Any]
) -> None:
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=24m")
    server.stderr = server.data_dir / "log"
    server.start()
    disk.fill()

    def lost() -> bool:
        server.client.post("/jobs", json={"type": "ok"})
        return dropped(server) > 0

    server.eventually(lost, "the page with the end of the log is full, and what is lost counted")
    assert server.client.get("/health").status_code == 200
    disk.free()
    server.eventually(
        lambda: server.client.post("/jobs", json={"type": "ok"}).status_code == 201, "it resumes"
    )
    server.eventually(lambda: "log lines dropped" in server.log(), "it says what was lost")
