"""What the campaign does with a server that dies at an inconvenient moment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.crash.server import KillAt, Launcher, Life, Server


@pytest.fixture
def dead() -> Iterator[Life]:
    """One that has ended and is not yet reaped, so it still has a thread."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    life = Life(pid, os.pidfd_open(pid), 0)
    yield life
    os.close(life.pidfd)
    os.waitpid(pid, 0)


async def test_a_life_that_is_killed_before_anybody_looks_is_not_waited_for(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead: Life
) -> None:
    assert dead.tasks()
    monkeypatch.setattr(Server, "_trace", lambda *_: None)
    with trio.fail_after(20):
        await Server(launcher, tmp_path).trace(dead, KillAt("close", 1))


async def test_a_ready_line_that_is_still_being_written_is_not_taken(
    launcher: Launcher, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    server = Server(launcher, tmp_path)
    life = Life(os.getpid(), os.pidfd_open(os.getpid()), 0)
    with server.log.open("wb", buffering=0) as log, trio.fail_after(20):
        log.write(b"headway listening on http://127.0.0.1:")
        with trio.move_on_after(1):
            await server.ready(life)
        early = life.url
        assert not early
        log.write(b"8787\n")
        assert await server.ready(life)
    os.close(life.pidfd)
    assert life.url == "http://127.0.0.1:8787"
