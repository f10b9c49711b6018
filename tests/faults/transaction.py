"""Every core transaction, on one small database that holds something of every kind.

The database is made once; each `Case` says what is done to it. Ids and time are counted, so a case
that is played again from the same bytes leaves, row for row, the same database.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import apsw

from actors import messages as m
from actors.actor import Message
from actors.identity import Identity
from actors.randomness import Randomness
from actors.rules.core import Core, Decision
from config.job_type import JobType
from config.setup import Setup
from headway.model.field import from_us
from headway.model.job import JobPatch, NewJob, Progress
from headway.model.run import RunStatus
from storage.database import open_writer
from storage.idempotency import Key
from storage.runs import Outcome
from tests.crash.migration import MIGRATION

NOW = 1_800_000_000_000_000
S = 1_000_000
BATCH_JOBS = 40
HOLD_TTL_S = 100.0
PATH = Path("/data/headway.db")
"""As the server calls it; the disk of the tests has a place of its own."""

TYPES = {
    name: JobType.model_validate({"name": name, "command": [name], **table})
    for name, table in {"a": {}, "one": {"concurrency": 1}}.items()
}
COMPLETED = Outcome(status=RunStatus.COMPLETED, exit_code=0)


def make_core(server_id: str, first_id: int) -> Core:
    """The rules, with ids that are counted."""
    numbers = count(first_id)
    return Core(
        setup=Setup(job_types=TYPES, concurrency=4),
        identity=Identity(boot_id="boot-1", server_id=server_id),
        new_id=lambda kind: f"{kind}-{next(numbers):04}",
        random=Randomness(bytes),
    )


def submit(*jobs: Mapping[str, Any], **options: Any) -> m.SubmitJobs:
    """Queue these Jobs."""
    return m.SubmitJobs(jobs=tuple(NewJob(**{"type": "a", **job}) for job in jobs), **options)


def at(seconds: float) -> Any:
    """So long after the moment of all transactions."""
    return from_us(NOW) + timedelta(seconds=seconds)


def populate(connection: apsw.Connection) -> dict[str, str]:
    """Some of everything: what ended, what runs, what waits. Returns the names of the runs."""
    core = make_core("srv-1", 1)

    def decide(*messages: Message) -> Decision:
        decision = core.decide(connection, NOW, list(messages))
        for answer in decision.answers:
            answer.unwrap()
        return decision

    core.recover(connection, NOW)
    started = decide(
        submit({"name": "runs"}, key=Key(key="first", request=b"1" * 32)),
        submit({"name": "ends"}),
        m.StartDirect(type="a", params={}),
    )
    runs = {
        intent.lane if intent.job_id is None else intent.job_id: intent.run_id
        for intent in (e.intent for e in started.effects if isinstance(e, m.EnsureRun))
    }
    runs_on, ends = sorted(job_id for job_id in runs if job_id != "direct")
    decide(m.RunExited(run_id=runs[ends], outcome=COMPLETED))
    decide(m.StopScheduler())
    decide(m.Reserve(ttl_s=HOLD_TTL_S))
    waiting = [
        {"name": f"waits {n}", "labels": {"n": str(n)}, "type": "one" if n % 3 else "a"}
        for n in range(6)
    ]
    decide(submit(*waiting, batch=True))
    decide(
        submit({"name": "later", "run_at": at(50)}), submit({"name": "stale", "expires_at": at(50)})
    )
    return {"running": runs[runs_on], "job": runs_on, "ended": ends, "direct": runs["direct"]}


@dataclass(frozen=True, slots=True)
class Case:
    """One transaction: what is done to an open database, or to one that is opened for it."""

    name: str
    act: Callable[[apsw.Connection], object]
    opens: bool = False
    """The faults begin with the opening of the file."""
    empty: bool = False
    """There is no database yet."""
    cold: bool = False
    """Nothing of the file is in memory yet, so there are reads to fail too."""

    migration: str | None = None
    """One migration more than the database has seen."""

    @property
    def migrates(self) -> bool:
        """The opening changes the schema."""
        return self.empty or self.migration is not None


def deciding(*messages: Message, later_s: float = 1) -> Callable[[apsw.Connection], object]:
    """One batch through the core; what it refuses is a fault of the case."""

    def act(connection: apsw.Connection) -> object:
        core = make_core("srv-1", 1001)
        decision = core.decide(connection, NOW + round(later_s * S), list(messages))
        for answer in decision.answers:
            answer.unwrap()
        return decision

    return act


def leaving(run_id: str) -> Callable[[apsw.Connection], object]:
    """An orderly end leaves a run that has not begun."""
    messages: list[Message] = [m.LeaveRuns(run_ids=frozenset({run_id}))]
    core = make_core("srv-1", 1001)
    return lambda connection: core.decide(connection, NOW + S, messages, dispatch=False)


def recover(connection: apsw.Connection) -> object:
    """The next life begins."""
    return make_core("srv-2", 1001).recover(connection, NOW + S)


def shut_down(connection: apsw.Connection) -> None:
    """The last act of a life."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def then_checkpoint(act: Callable[[apsw.Connection], object]) -> Callable[[apsw.Connection], None]:
    """A commit that moves the log into the database, as each does that makes it too long.

    SQLite does not tell if that fails: the log stays, and the next commit tries again.
    """

    def both(connection: apsw.Connection) -> None:
        act(connection)
        with suppress(apsw.Error):
            connection.wal_checkpoint()

    return both


def _cases() -> list[Case]:
    """All of them."""
    names = populate(open_writer(Path(":memory:")))
    run, job, ended = names["running"], names["job"], names["ended"]
    waiting, hold = _first_waiting(), _hold()
    new = submit({"labels": {"x": "y"}}, key=Key(key="second", request=b"2" * 32))
    batch = submit(*({"name": f"of many {n}"} for n in range(BATCH_JOBS)), batch=True)
    patch = JobPatch(priority=70, labels={"p": "q"})
    progress = Progress(fraction=0.5, message="half")
    finish = m.RunExited(run_id=run, outcome=replace(COMPLETED, progress=progress))
    group = (new, batch, m.DeleteJob(job_id=waiting), finish, m.StartScheduler())
    messages: dict[str, tuple[Message, ...]] = {
        "submit": (new,),
        "batch": (batch,),
        "claim": (m.StartScheduler(),),
        "finish": (finish,),
        "finish and claim": (m.StartScheduler(), finish),
        "cancel queued": (m.CancelJob(job_id=waiting),),
        "cancel running": (m.CancelJob(job_id=job),),
        "delete": (m.DeleteJob(job_id=waiting),),
        "patch": (m.PatchJob(job_id=waiting, patch=patch),),
        "retry": (m.RetryJob(job_id=ended),),
        "trigger": (m.TriggerJob(type="a", params={}),),
        "direct": (m.StartDirect(type="a", params={}),),
        "abandon": (
            m.AbandonDirect(reserved=m.DirectReservation(reservation_id=hold, run_id=run)),
        ),
        "reserve": (m.Reserve(ttl_s=5),),
        "release": (m.ReleaseReservation(reservation_id=hold),),
        "release all": (m.Reserve(ttl_s=5), m.ReleaseReservations()),
        "configure": (m.ConfigureScheduler(set_concurrency=True, concurrency=2, types={"one": 3}),),
        "show": (
            m.RunProcess(run_id=run, pid=4711, began_us=5),
            m.RunProgressed(run_id=run, job_id=job, progress=progress),
        ),
        "overstep": (m.RunLimitExceeded(run_id=run, reason="timeout"),),
        "drain": (m.Drain(), m.StopRuns(immediately=False)),
    }
    return [
        *(Case(name, deciding(*those)) for name, those in messages.items()),
        Case("group", deciding(*group), cold=True),
        Case("due", deciding(m.TimerFired(), later_s=HOLD_TTL_S + 1)),
        Case("submit and checkpoint", then_checkpoint(deciding(new))),
        Case("leave", leaving(run)),
        Case("recover", recover, opens=True),
        Case("migrate", lambda _: None, opens=True, empty=True),
        Case("migrate further", lambda _: None, opens=True, migration=MIGRATION),
        Case("shut down", shut_down),
    ]


def _first_waiting() -> str:
    return _look("SELECT job_id FROM jobs WHERE name = 'waits 0'")


def _hold() -> str:
    return _look("SELECT reservation_id FROM reservations WHERE state = 'HELD'")


def _look(sql: str) -> str:
    connection = open_writer(Path(":memory:"))
    populate(connection)
    return str(connection.execute(sql).get)


CASES = {case.name: case for case in _cases()}
