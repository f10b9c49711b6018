"""Servers that are killed at one chosen point, and the checks of what must be true then."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

import storage.database
from actors.host import process_tree
from tests.crash.check import TERMINAL, Checker, Victims
from tests.crash.client import Journal, Lost, Submission, Wire
from tests.crash.migration import MIGRATION, know_it
from tests.crash.program import Tally, write_config
from tests.crash.server import KillAt, KilledServer, Life, can_trace
from tests.server_process import Launcher

DEADLINE_S = 60
LOOK_S = 0.005


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with Launcher() as launcher:
        yield launcher


@pytest.fixture(scope="session")
def strace() -> None:
    if not can_trace():
        pytest.skip("strace is not here, or may not attach")


@dataclass
class Place:
    """A data directory with its server, its promises, and the checks on it."""

    server: KilledServer
    checker: Checker
    life: Life | None = None
    submissions: int = 0
    wire: Wire = field(init=False)
    at: type[KillAt] = KillAt
    lost: type[Lost] = Lost

    async def start(self) -> Life:
        """A life that is ready."""
        self.life = self.server.begin()
        assert await self.server.ready(self.life)
        self.wire = Wire(self.life.url)
        return self.life

    async def kill(self) -> None:
        """KILL the server, and only it."""
        assert self.life is not None
        self.life.send(signal.SIGKILL)
        await self.dead()

    async def dead(self) -> None:
        """Wait until it was killed."""
        assert self.life is not None
        assert await self.server.reap(self.life) == -signal.SIGKILL
        await self.wire.close()
        self.life = None

    async def kill_at(self, call: str, number: int) -> None:
        """From now on: KILL it when a thread of it makes its n-th such call."""
        assert self.life is not None
        await self.server.trace(self.life, KillAt(call, number))

    async def submit(self, **params: Any) -> Submission:
        """Submit a Job with a key; raises `Lost` if the server is killed."""
        self.submissions += 1
        token = f"token-{self.submissions}"
        body = {"type": "work", "name": token, "params": params}
        asked = Submission((token,), "/jobs", body, f"key-{self.submissions}")
        self.checker.journal.submissions.append(asked)
        await self.send(asked)
        return asked

    async def send(self, asked: Submission) -> None:
        """Send a request, for the first time or again."""
        answer = await self.wire.ask("POST", asked.path, asked.body, asked.key)
        assert answer.status == 201, answer
        made = (answer.json()["job_id"],)
        assert asked.job_ids in ((), made)
        asked.job_ids = made

    async def post(self, path: str, body: object = None) -> Any:
        """Send a POST that must succeed."""
        answer = await self.wire.ask("POST", path, body or {})
        assert answer.status < 300, answer
        return answer.json()

    async def job(self, asked: Submission) -> dict[str, Any]:
        found: dict[str, Any] = (await self.wire.ask("GET", f"/jobs/{asked.job_ids[0]}")).json()
        return found

    async def run_of(self, asked: Submission) -> dict[str, Any]:
        path = f"/jobs/{asked.job_ids[0]}/runs"
        run: dict[str, Any] = (await self.wire.ask("GET", path)).json()["runs"][0]
        return run

    async def ended(self, asked: Submission) -> str:
        """Its last status, once it has ended."""
        await self.until(asked, lambda job: job["status"] in TERMINAL)
        return str((await self.job(asked))["status"])

    async def until(self, asked: Submission, right: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the Job satisfies the condition."""
        while not right(await self.job(asked)):  # noqa: ASYNC110 - over HTTP
            await trio.sleep(LOOK_S)

    async def run_to_end(self, asked: Submission) -> str:
        """Start the scheduler, then its last status."""
        await self.post("/scheduler/start")
        return await self.ended(asked)

    async def shown(self, asked: Submission) -> None:
        """Wait until the run's process is on record; nothing more is written about it then."""
        await self.until(asked, lambda job: job["status"] != "QUEUED")
        while (await self.run_of(asked))["pid"] is None:  # noqa: ASYNC110 - over HTTP
            await trio.sleep(LOOK_S)

    async def begun(self) -> str:
        """The run id of the program that has started."""
        tally = self.checker.tally
        while not tally.starts:
            await trio.sleep(LOOK_S)
            tally.read()
        return next(iter(tally.starts))

    def shim(self, run_id: str) -> int:
        """The process that leads the run."""
        (pid,) = (seen.pid for seen in self.carriers(run_id) if seen.pid == seen.session)
        return pid

    @staticmethod
    def carriers(run_id: str) -> list[process_tree.ProcessState]:
        """Every living process of the run."""
        return list(process_tree.carriers(frozenset({run_id})))

    def starts(self) -> list[int]:
        """How often each program was started, of those that ran."""
        self.checker.tally.read()
        return list(self.checker.tally.starts.values())

    def check(self) -> None:
        """Check everything that must be true now."""
        found = self.checker.look()
        assert not found, str(found)


@pytest.fixture
def migration(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    """A migration that this test's servers may have, and that the checks know."""
    monkeypatch.setattr(storage.database, "migrations", storage.database.migrations)
    place.checker.migration = know_it()
    return MIGRATION


@pytest.fixture
async def place(launcher: Launcher, tmp_path: Path) -> AsyncIterator[Place]:
    directory = tmp_path / "place"
    write_config(directory, sys.executable)
    server = KilledServer(launcher, directory)
    tally = Tally(directory / "tally")
    place = Place(server, Checker(server.data_dir, tally, Journal(), Victims()))
    with trio.fail_after(DEADLINE_S):
        yield place
        if place.life is not None:
            await place.wire.close()
            place.life.send(signal.SIGTERM)
            assert await server.reap(place.life) == 0
    tally.read()
    left = [seen for run_id in tally.starts for seen in place.carriers(run_id)]
    for seen in left:
        os.kill(seen.pid, signal.SIGKILL)
    assert not left
