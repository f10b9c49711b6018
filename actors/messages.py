"""The messages of all actors, as small frozen records.

Commands are imperative, events past tense, questions `Get…`. An ask names its answer in its base.
Asks flow web → scheduler; the executor and the publisher receive what the scheduler has committed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.actor import Ask, Message
from config.job_type import JobType
from config.run_limits import KeepLimits
from config.setup import Setup
from headway.model.artifact import Artifact
from headway.model.job import Job, JobPatch, NewJob, Progress
from headway.model.reservation import Reservation
from headway.model.run import StopReason
from headway.model.scheduler import HostCondition, Metrics, SchedulerConfig
from storage.collections import Unfinished
from storage.events import Event
from storage.idempotency import Key
from storage.intents import RunIntent
from storage.runs import Outcome

# ---- to the scheduler, from the web ------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The answer to `SubmitJobs`: new Jobs, or the stored first answer to the same request.

    Of a batch there is only the `response`: 10,000 models would be built for nothing.
    """

    jobs: tuple[Job, ...]
    response: bytes | None = None
    location: str | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitJobs(Ask[Submission]):
    """Queue these Jobs, all or none. Their params have been accepted by their types.

    With a `key`, `batch` selects in which of two forms the answer is kept for a replay.
    """

    jobs: tuple[NewJob, ...]
    origin: str = "api"
    key: Key | None = None
    batch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryJob(Ask[Job]):
    """Queue a new Job like a terminal one."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchJob(Ask[Job]):
    """Change a QUEUED Job, if its version is still `if_match` (None: whatever it is)."""

    job_id: str
    patch: JobPatch
    if_match: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteJob(Ask[Job]):
    """Cancel a Job that must be QUEUED."""

    job_id: str
    if_match: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob(Ask[Job]):
    """Cancel a Job, QUEUED or RUNNING; a running program is asked to end, then killed."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerJob(Ask[Job]):
    """Start a Job at once, beside the queue, as the old trigger endpoints did, but on record."""

    type: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartScheduler(Ask[None]):
    """Let Jobs start. Remembered across restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopScheduler(Ask[None]):
    """Start nothing more; what runs goes on. Remembered across restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureScheduler(Ask[SchedulerConfig]):
    """Change limits while running; None restores the configured value."""

    set_concurrency: bool
    concurrency: int | None
    types: Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceSetup(Ask[SchedulerConfig]):
    """Replace the configuration. `changed`: the keys that differ, for the event.

    Direct runs that wait for a slot, of a type that is gone, are given up.
    """

    setup: Setup
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(Ask[Reservation]):
    """Keep the next free slot empty, for `ttl_s` seconds from when it is held."""

    ttl_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Once(Ask[Submission]):
    """Carry out a creation, unless its key has been used: then repeat the first answer."""

    key: Key
    message: Ask[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReservation(Ask[Reservation]):
    """End an operator's reservation."""

    reservation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReservations(Ask[list[Reservation]]):
    """End every open reservation of operators, in one transaction; returns them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectReservation:
    """The two ids by which a direct run is followed and abandoned."""

    reservation_id: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDirect(Ask[DirectReservation]):
    """Run ahead of the queue, in the next free slot. Answered when the claim is on disk."""

    type: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonDirect(Message):
    """The client of a direct run disconnected: end its claim, or cancel the run."""

    reserved: DirectReservation


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Ask[None]):
    """Answered by a scheduler that works and has committed every earlier message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain(Ask[None]):
    """The server is shutting down: start nothing more in this life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRuns(Ask[None]):
    """End every running program (shutdown), and record it as interrupted.

    Without `adoptable`: only those that no later server could go on waiting for.
    """

    immediately: bool
    adoptable: bool = True


# ---- to the scheduler, from the executor and the alarm -----------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProcess(Message):
    """The run has a process, which began `began_us` µs after boot."""

    run_id: str
    pid: int
    began_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgressed(Message):
    """The program reported its progress, to be stored: at most every 5 s of a run."""

    run_id: str
    job_id: str
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimitExceeded(Message):
    """The run must be ended: it exceeded its time or its output."""

    run_id: str
    reason: StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class RunExited(Message):
    """The run has ended; nothing of it is left but its files.

    `refused_in`: its program could not be started, and it was that life of the scheduler which had
    asked. No file shows that, so it does not count when a later life has asked again.
    """

    run_id: str
    outcome: Outcome
    refused_in: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartsBlocked(Message):
    """The host prevents starts: these runs are claimed, have not begun, and wait.

    Or it has no descriptor left to look after one that has. `reason` None: neither is so any more.
    """

    reason: str | None
    run_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCollected(Message):
    """The artifacts of an ended run, as far as they are known by now.

    `artifacts` None: no more than before. `more`: it is listed; its checksums, and what must be
    removed, come when that is on disk.
    """

    run_id: str
    artifacts: tuple[Artifact, ...] | None = None
    reason: str | None = None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveRuns(Message):
    """These runs have not begun, and do not in this life: the next server starts them."""

    run_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageBroke(Message):
    """A reader found that the database cannot be read any more: the process must end."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Message):
    """A `run_at`, an `expires_at` or the end of a reservation may be due."""


# ---- to the executor ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureRun(Message):
    """Make sure that this run runs, or report how it ended, from its files and processes.

    `job_type`: as it was configured when the run was claimed in this life of the server, or else at
    its start; None if it is not configured. `life`: which life of the scheduler asks.
    """

    intent: RunIntent
    job_type: JobType | None
    life: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldStarts(Ask[frozenset[str]]):
    """Start no program any more in this life. Answered with the runs that have not begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRun(Message):
    """End the run's whole process tree: TERM, then KILL after the type's grace."""

    run_id: str
    reason: StopReason
    immediately: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectRun(Message):
    """Continue to collect the artifacts of an ended run; the state so far is committed."""

    unfinished: Unfinished
    limits: KeepLimits


# ---- to the publisher --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsCommitted(Message):
    """These events are on disk, in this order."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostChanged(Message):
    """A condition of the host prevents starts, or ended (None). `at` in µs since 1970."""

    condition: HostCondition | None
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReported(Message):
    """The program reported its progress, to be shown at once. `at` in µs since 1970."""

    run_id: str
    job_id: str
    type: str
    progress: Progress
    at: int


# ---- to the stats actor ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GetMetrics(Ask[Metrics]):
    """How long Jobs wait and run, per type."""
