"""How the campaign treats a server that is killed at an inconvenient moment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.crash.server import KillAt, KilledServer, Life
from tests.server_process import Launcher


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[Life]:
    """A process that has ended and is not reaped, so that it still has a thread."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    life = Life(pid, tmp_path / "stderr", 0, lambda: os.waitpid(pid, 0)[1])
    yield life
    life.wait()


async def test_a_life_that_is_killed_before_anybody_looks_is_not_waited_for(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead: Life
) -> None:
    assert dead.tasks()
    monkeypatch.setattr(KilledServer, "_trace", lambda *_: None)
    with trio.fail_after(20):
        await KilledServer(launcher, tmp_path).trace(dead, KillAt("close", 1))
