"""The rules by hand: messages in, decisions out."""

from itertools import count
from typing import Any

import apsw
import outcome

from actors import messages as m
from actors.identity import Identity
from actors.randomness import Randomness
from actors.rules.core import Core, Decision
from config.limits import Limits
from config.setup import Setup
from headway.model.job import Job, JobStatus, NewJob
from headway.model.problem import Refusal
from headway.model.reservation import Reservation
from headway.model.run import JobRun, RunError, RunStatus
from storage.jobs import find_job
from storage.reservations import find_reservation
from storage.runs import Outcome, find_run
from tests.actors.house import make_types


class Desk:
    """The rules alone: messages in, decisions out, time as it is set."""

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
            random=Randomness(bytes),
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

    def direct(self, type_: str = "b") -> m.DirectReservation:
        """Claim the next slot for a direct run."""
        reserved: m.DirectReservation = self.ask(m.StartDirect(type=type_, params={}))
        return reserved

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


S = 1_000_000


OK = Outcome(status=RunStatus.COMPLETED, exit_code=0)


Q, R = JobStatus.QUEUED, JobStatus.RUNNING


def exited(run_id: str, outcome: Outcome = OK) -> m.RunExited:
    return m.RunExited(run_id=run_id, outcome=outcome)


def started(decision: Any) -> list[str]:
    """The types of the runs that a decision starts."""
    return [effect.intent.type for effect in decision.effects if isinstance(effect, m.EnsureRun)]


def stopped(decision: Any) -> list[tuple[str, str]]:
    return [
        (effect.run_id, effect.reason)
        for effect in decision.effects
        if isinstance(effect, m.StopRun)
    ]


def replaced(setup: Any, *changed: str) -> m.ReplaceSetup:
    return m.ReplaceSetup(setup=setup, changed=changed)


def submission(*types: str, **options: Any) -> m.SubmitJobs:
    return m.SubmitJobs(jobs=tuple(NewJob(type=type_) for type_ in types), **options)


SEEN = [
    OK,
    Outcome(status=RunStatus.SKIPPED, exit_code=77),
    Outcome(status=RunStatus.FAILED, exit_code=1, error=RunError(code="exit_status", message="1")),
    Outcome(status=RunStatus.FAILED, signal=15, error=RunError(code="signal", message="15")),
]
