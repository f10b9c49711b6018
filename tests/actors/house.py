"""The whole server without its port: imagined processes, virtual time, and the real rest.

`House` starts the same `Headway` that production starts, on a real SQLite file and real run
directories below `tmp_path`; only time, randomness, threads and processes are imagined.
"""

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import trio

from actors import messages as m
from actors.actor import Mailbox
from actors.runner import InlinePool, InlineRunner
from actors.seams import Seams
from config.job_type import JobType
from config.settings import SchedulerSettings, ServerSettings, Settings
from headway.model.job import Job, NewJob
from headway.model.run import JobRun
from serve import Headway
from storage.database import DATABASE_NAME, open_reader
from storage.jobs import find_job
from storage.runs import find_run, run_of_job
from storage.verify.invariants import Finding, verify
from tests.imagined import FakeHost, SettableClock
from web.context import Context

US = 1_000_000


TYPES: dict[str, dict[str, Any]] = {
    "a": {"kill_grace_s": 5.0, "timeout_s": 3600.0},
    "b": {"kill_grace_s": 5.0},
    "one": {"concurrency": 1},  # at most one at once
    "small": {"output_limit_bytes": 4096, "on_output_limit": "fail"},
    "secret": {"params": {"key": {"type": "string", "arg": "--key", "secret": True}}},
}


def make_types(**more: dict[str, Any]) -> dict[str, JobType]:
    return {
        name: JobType.model_validate({"name": name, "command": [name], **table})
        for name, table in {**TYPES, **more}.items()
    }


class House:
    """One data directory, and the server lives in it, one after another."""

    def __init__(self, path: Path, host: FakeHost) -> None:
        self.path = path
        self.host = host
        self.clock = SettableClock()
        self.types = make_types()
        self.writer: Any = InlineRunner()
        self.files: Any = InlinePool()
        self.collectors: Any = InlinePool()
        self.vfs: str | None = None
        self.statvfs: Callable[[Path], Any] = os.statvfs
        self.concurrency = 1
        self.context: Context
        self.headway: Headway
        self._random = random.Random(7)
        self._reader: apsw.Connection | None = None

    @property
    def reader(self) -> apsw.Connection:
        """A connection of the test's own, so that it may look also when no server lives."""
        if self._reader is None:
            self._reader = open_reader(self.path / DATABASE_NAME)
        return self._reader

    def mailbox(self, name: str) -> Mailbox:
        """The mailbox of one of the actors, whichever."""
        children = self.headway._supervisor._children
        return next(child.mailbox for child in children if child.name == name)

    async def lose(self, name: str) -> None:
        """Stop one of the actors without its supervisor noticing."""
        self.headway._supervisor._lives[name].scope.cancel()
        await self.settled()

    async def revive(self, name: str) -> None:
        """Start an actor that fell silent, as the supervisor does after a crash."""
        supervisor = self.headway._supervisor
        (child,) = (child for child in supervisor._children if child.name == name)
        assert await supervisor._start_again(child)
        await self.settled()

    def broken(self) -> list[Finding]:
        """The invariants that do not hold."""
        return [finding for finding in verify(self.reader) if finding.breaches]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Context]:
        """One life of the server, ended in order."""
        headway = self._make()
        async with headway.running() as context:
            yield context

    @asynccontextmanager
    async def crashing(self) -> AsyncIterator[Context]:
        """One life of the server, ended without a word: nothing is written, nothing signalled."""
        headway = self._make()
        with trio.CancelScope() as scope:
            async with headway.running() as context:
                yield context
                scope.cancel()
                await trio.lowlevel.checkpoint()

    def _make(self) -> Headway:
        settings = Settings(
            server=ServerSettings(data_dir=self.path),
            scheduler=SchedulerSettings(concurrency=self.concurrency, max_queued=50),
            job_types=self.types,
        )
        seams = Seams(
            clock=self.clock,
            random_bytes=self._random.randbytes,
            writer=self.writer,
            readers=(InlineRunner(), InlineRunner()),
            batches=InlineRunner(),
            files=self.files,
            collectors=self.collectors,
            checker=InlineRunner(),
            host=self.host,
            vfs=self.vfs,
            reserve_bytes=0,
            statvfs=self.statvfs,
        )
        self.headway = Headway(settings, seams, {"PATH": "/bin"})
        self.context = self.headway.context
        return self.headway

    async def submit(self, *jobs: dict[str, Any] | str) -> list[Job]:
        """Queue Jobs; a word is a type."""
        new = tuple(NewJob(**(job if isinstance(job, dict) else {"type": job})) for job in jobs)
        return list((await self.context.ask(m.SubmitJobs(jobs=new))).jobs)

    def job(self, job: Job | str) -> Job:
        return find_job(self.reader, job if isinstance(job, str) else job.job_id)

    def run(self, job: Job | str) -> JobRun:
        """The run of a Job, or the run with this id."""
        key = job if isinstance(job, str) else job.job_id
        if key.startswith("run-"):
            return find_run(self.reader, key)
        run = run_of_job(self.reader, key)
        assert run is not None
        return run

    async def ended(self, job: Job, timeout_s: float = 100_000) -> Job:
        """Wait for the Job's end."""
        return await self.context.until_ended(job.job_id, timeout_s)

    async def settled(self) -> None:
        """Until nothing more happens at this moment."""
        await trio.testing.wait_all_tasks_blocked()

    def seqs(self) -> list[int]:
        rows = self.reader.execute("SELECT seq FROM events ORDER BY seq")
        return [seq for (seq,) in rows]

    def kinds(self, job: Job) -> list[str]:
        """What the events say of a Job."""
        rows = self.reader.execute(
            "SELECT kind FROM events WHERE job_id = ? ORDER BY seq", (job.job_id,)
        )
        return [kind for (kind,) in rows]


def code_of(run: Any) -> str | None:
    """The code of a run's error."""
    return run.error.code if run.error else None


async def crash_with_a_run(house: House, after_s: float = 5) -> Any:
    """A server starts a Job and crashes."""
    async with house.crashing():
        (job,) = await house.submit("a")
        await trio.sleep(after_s)
    return job
