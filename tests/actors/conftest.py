"""What the tests of the actors share: imagined processes, virtual time, and the real rest.

`house` starts the same `Headway` that production starts, on a real SQLite file and real run
directories below `tmp_path`; only time, randomness, threads and processes are imagined.
"""

import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import outcome
import pytest
import structlog
import trio
from trio.testing import MockClock

from actors import messages as m
from actors.actor import Mailbox
from actors.identity import Identity
from actors.rules.core import Core, Decision
from actors.runner import InlinePool, InlineRunner
from config.job_type import JobType
from config.limits import Limits
from config.settings import SchedulerSettings, ServerSettings, Settings
from config.setup import Setup
from headway.model.job import Job, NewJob
from headway.model.problem import Refusal
from headway.model.reservation import Reservation
from headway.model.run import JobRun, RunStatus
from serve import Headway, Seams
from storage.database import DATABASE_NAME, open_reader, open_writer
from storage.jobs import find_job
from storage.reservations import find_reservation
from storage.runs import Outcome, find_run, run_of_job
from storage.verify.invariants import Finding, verify
from tests.imagined import FakeHost, Program, SettableClock
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


@pytest.fixture(scope="session", autouse=True)
def silent_log() -> None:
    """A crash on purpose is nobody's news, and rendering its traceback costs 200 ms."""

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    structlog.configure(processors=[drop])


# ---- the whole server on virtual time ----------------------------------------------------------


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
        """One of the actors falls silent, and nobody notices."""
        self.headway._supervisor._lives[name].scope.cancel()
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


@pytest.fixture
def settable_clock() -> SettableClock:
    """Virtual time that can be set."""
    return SettableClock()


@pytest.fixture(scope="session")
def blank() -> bytes:
    """A migrated database, as the bytes of its file."""
    connection = open_writer(Path(":memory:"))
    made = connection.serialize("main")
    connection.close()
    return made


@pytest.fixture(scope="session")
def fresh(blank: bytes) -> Callable[[], apsw.Connection]:
    """Makes as many databases in memory as a property has examples."""

    def fresh() -> apsw.Connection:
        connection = apsw.Connection(":memory:")
        connection.deserialize("main", blank)
        return connection

    return fresh


@pytest.fixture
def data_dir(tmp_path: Path, blank: bytes) -> Path:
    """A data directory in which a server has been once."""
    (tmp_path / DATABASE_NAME).write_bytes(blank)
    return tmp_path


@pytest.fixture
def program() -> type[Program]:
    """What an imagined program does: `house.host.programs["a"] = program(lasts_s=5)`."""
    return Program


@pytest.fixture
async def host(autojump_clock: MockClock) -> AsyncIterator[FakeHost]:
    """Imagined processes. Whatever still runs goes with the test."""
    async with trio.open_nursery() as nursery:
        yield FakeHost(nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def house(host: FakeHost, data_dir: Path) -> AsyncIterator[House]:
    """The whole server without its port, on virtual time."""
    house = House(data_dir, host)
    yield house
    house.reader.close()


# ---- the core by hand --------------------------------------------------------------------------


class Desk:
    """The rules alone: messages in, decisions out, time as it is told."""

    def __init__(self, connection: apsw.Connection, concurrency: int = 1, **types: Any) -> None:
        self.connection = connection
        self.now = 1_800_000_000_000_000
        self.types = make_types(**types)
        self._ids = count(1)
        self.server_id = "srv-1"
        self.concurrency = concurrency
        self.core = self.make_core()

    def setup(self, *without: str, **limits: Any) -> Setup:
        """What is configured, without these types."""
        types = {name: type_ for name, type_ in self.types.items() if name not in without}
        return Setup(job_types=types, concurrency=self.concurrency, limits=Limits(**limits))

    def make_core(self, server_id: str = "srv-1", **limits: Any) -> Core:
        return Core(
            setup=self.setup(**limits),
            identity=Identity(boot_id="boot-1", server_id=server_id),
            new_id=lambda prefix: f"{prefix}-{next(self._ids):04d}",
        )

    def pass_s(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)

    def decide(self, *messages: Any) -> Decision:
        return self.core.decide(self.connection, self.now, list(messages))

    def ask(self, message: Any) -> Any:
        """The answer to a message alone in its batch; raises what was refused."""
        (answer,) = self.decide(message).answers
        return answer.unwrap()

    def refusal(self, message: Any) -> str:
        (answer,) = self.decide(message).answers
        assert isinstance(answer, outcome.Error)
        assert isinstance(answer.error, Refusal)
        return answer.error.code

    def submit(self, *jobs: dict[str, Any] | str) -> list[Job]:
        new = tuple(NewJob(**(job if isinstance(job, dict) else {"type": job})) for job in jobs)
        return list(self.ask(m.SubmitJobs(jobs=new)).jobs)

    def job(self, job: Job | str) -> Job:
        return find_job(self.connection, job if isinstance(job, str) else job.job_id)

    def reservation(self, reservation_id: str) -> Reservation:
        return find_reservation(self.connection, reservation_id)

    def finish(self, ended: Outcome | None = None) -> None:
        """End whatever began to run first; well, unless `ended` says otherwise."""
        ended = ended or Outcome(status=RunStatus.COMPLETED, exit_code=0)
        self.decide(m.RunExited(run_id=self.running()[0].run_id, outcome=ended))

    def direct(self, type_: str = "b") -> m.DirectTicket:
        """Claim the next slot for a direct run."""
        ticket: m.DirectTicket = self.ask(m.StartDirect(type=type_, params={}))
        return ticket

    def running(self) -> list[JobRun]:
        """What runs, in the order of starting."""
        rows = self.connection.execute(
            "SELECT run_id FROM job_runs WHERE status = 'RUNNING' ORDER BY started_at, run_id"
        )
        return [find_run(self.connection, str(run_id)) for (run_id,) in rows.fetchall()]

    def dump(self) -> list[Any]:
        """Everything that the database holds."""
        tables = self.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return [
            (name, self.connection.execute(f"SELECT * FROM {name}").fetchall())
            for (name,) in tables.fetchall()
        ]


@pytest.fixture(scope="session")
def make_desk(blank: bytes) -> Callable[..., Desk]:
    """A desk with a database in memory: as many as a property has examples."""

    def make_desk(**options: Any) -> Desk:
        connection = apsw.Connection(":memory:")
        connection.deserialize("main", blank)
        connection.execute("PRAGMA foreign_keys = ON")
        return Desk(connection, **options)

    return make_desk


@pytest.fixture
def desk(data_dir: Path) -> Iterator[Desk]:
    """A desk with one slot and a database file."""
    connection = open_writer(data_dir / DATABASE_NAME)
    yield Desk(connection)
    connection.close()


@pytest.fixture
def reader(data_dir: Path) -> Iterator[apsw.Connection]:
    """A reading connection to the same file."""
    connection = open_reader(data_dir / DATABASE_NAME)
    yield connection
    connection.close()


# ---- a disk that fails -------------------------------------------------------------------------


class FailingFile(apsw.VFSFile):
    """Writes to it fail with the error that its disk has been given."""

    def __init__(self, disk: "FailingDisk", name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data: Any, offset: int) -> None:
        if self._disk.error is not None and self._disk.left > 0:
            self._disk.left -= 1
            raise self._disk.error("as the test wants it")
        super().xWrite(data, offset)


class FailingDisk(apsw.VFS):
    """A disk that works until `error` is set (apsw.FullError, apsw.IOError)."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.error: type[apsw.Error] | None = None
        self.left = 1_000_000  # writes that will fail

    def xOpen(self, name: Any, flags: list[int]) -> FailingFile:
        return FailingFile(self, name, flags)


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    """A disk to put a database on: `house.vfs = disk.name`."""
    disk = FailingDisk("failing")
    yield disk
    with suppress(apsw.Error):
        disk.unregister()
