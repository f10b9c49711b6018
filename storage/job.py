"""The nouns: Job, JobRun, Reservation, and the one table of what may become what.

Invariant: nothing leaves a terminal status, and no module writes a status that `TRANSITIONS` does
not allow; the SQL beside it repeats the old status in its WHERE clause. How a row is stored is in
`jobs.py` and `runs.py`.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.types import AllowInfNan
from pydantic_core import PydanticCustomError

MAX_INT = 2**63 - 1
"""SQLite's largest integer; no number of the API may exceed it."""

TIME_MAX_US = 253_402_300_799_999_999
"""The last microsecond of the year 9999, which is the last that a datetime can show."""

PRIORITY_MAX = 100
NAME_LENGTH_MAX = 200
LABELS_MAX = 32


class JobStatus(StrEnum):
    """Where a Job is in its life."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


class RunStatus(StrEnum):
    """Where a JobRun is in its life."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.SKIPPED, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset(
        {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.SKIPPED, JobStatus.CANCELLED}
    ),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.SKIPPED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

TERMINAL = frozenset(status for status, after in TRANSITIONS.items() if not after)

Lane = Literal["queue", "direct", "legacy"]
"""How a run came to its process: from the queue, ahead of it, or outside it (legacy trigger)."""

ErrorCode = Literal["exit_status", "signal", "timeout", "spawn", "output_limit", "interrupted"]
StopReason = Literal["cancel", "timeout", "output_limit", "shutdown"]
"""Why headway itself ends a program. Committed before the first signal is sent."""


def _json_number(value: object) -> object:
    """JSON's numbers only: pydantic would also take strings and booleans."""
    if isinstance(value, bool | str):
        raise PydanticCustomError("number_type", "Input should be a number")
    return value


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _json_time(value: object) -> object:
    """RFC 3339 text only: pydantic would also take numbers, and text of digits, as Unix time."""
    is_text = isinstance(value, str) and _RFC_3339.fullmatch(value)
    if not is_text and not isinstance(value, datetime):
        raise PydanticCustomError(
            "time_format",
            "give an RFC 3339 date and time with its offset, such as 2031-05-01T08:00:00Z",
        )
    return value


def _storable(moment: datetime) -> datetime:
    """The same moment in UTC, if it can be stored and shown again."""
    us = to_us(moment)
    if not 0 <= us <= TIME_MAX_US:
        raise PydanticCustomError("time_range", "Input should be from 1970 to 9999 in UTC")
    return from_us(us)


# Text that people give: no control characters, since it ends up in terminals, headers and logs.
Label = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
LabelKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
Labels = Annotated[dict[LabelKey, Label], Field(max_length=LABELS_MAX)]
Name = Annotated[str, StringConstraints(max_length=NAME_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
Priority = Annotated[int, Field(ge=0, le=PRIORITY_MAX), BeforeValidator(_json_number)]
Slots = Annotated[int, Field(ge=1, le=1024), BeforeValidator(_json_number)]
Seconds = Annotated[
    float, Field(gt=0, le=10 * 366 * 86_400), AllowInfNan(False), BeforeValidator(_json_number)
]
Time = Annotated[AwareDatetime, AfterValidator(_storable), BeforeValidator(_json_time)]


class Model(BaseModel):
    """Frozen, and closed: an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _empty() -> Any:
    """An empty object as the default: a literal `{}` is deep-copied for each model, for 9 µs."""
    return Field(default_factory=dict, json_schema_extra={"default": {}})


class NewJob(Model):
    """What a client asks for. `run_at` null means as soon as a slot is free."""

    type: Annotated[str, StringConstraints(max_length=100)]
    params: dict[str, Any] = _empty()
    priority: Priority = 0
    run_at: Time | None = None
    expires_at: Time | None = None
    name: Name | None = None
    labels: Labels = _empty()
    timeout_s: Seconds | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_time(cls, given: Any) -> Any:
        """`time` is the old name of `run_at`."""
        if isinstance(given, dict) and "time" in given:
            if "run_at" in given:
                raise PydanticCustomError("alias", "give run_at or its alias time, not both")
            given = {**given, "run_at": given["time"]}
            del given["time"]
        return given

    @field_validator("expires_at")
    @classmethod
    def _expires_after_run_at(cls, expires_at: datetime | None, info: ValidationInfo) -> Any:
        """A Job that expires before it may start would never run."""
        run_at = info.data.get("run_at")
        if expires_at is not None and run_at is not None and expires_at <= run_at:
            raise PydanticCustomError("time_order", "give a time after run_at")
        return expires_at


class JobPatch(Model):
    """The fields of a QUEUED Job that may change. A field left out stays as it is."""

    priority: Priority | None = None
    run_at: Time | None = None
    name: Name | None = None
    labels: Labels | None = None


class Progress(Model):
    """What the program last reported: a fraction from 0 to 1, and a message.

    It is shown when it is reported, and stored every 5 seconds at most and at the end; only then
    the Job's `version` grows.
    """

    fraction: float | None
    message: str | None


class Job(Model):
    """A request to run one job type once. `version` grows by one with every change.

    `finished_at` is when its program ended by the wall clock; `duration_s` is how long the program
    ran, by a clock that nobody sets. A Job that never ran has none.
    """

    job_id: str
    type: str
    status: JobStatus
    params: dict[str, Any]
    priority: int
    position: int
    name: str | None
    labels: dict[str, str]
    run_at: datetime | None
    expires_at: datetime | None
    timeout_s: float | None
    retry_of: str | None
    origin: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None = None
    progress: Progress | None
    reason: str | None
    version: int


class ListedJob(Job):
    """A Job in a list. `params_elided`: its params are longer than a list shows.

    Then `params` is empty, and `GET /jobs/{job_id}` has them.
    """

    params_elided: Annotated[bool, Field(exclude_if=lambda is_elided: not is_elided)] = False


class RunError(Model):
    """Why a run failed: a stable code and a sentence for people."""

    code: ErrorCode
    message: str


class Artifact(Model):
    """A file that the program left in HEADWAY_ARTIFACTS; `name` is its path below it.

    `sha256` null: it is not known yet, or the file cannot be read (see the run's `collection`).
    `kept` false: it was beyond the limits of its type, and was removed.
    """

    name: str
    size_bytes: int
    sha256: str | None
    kept: bool = True


class Collection(Model):
    """Whether all that the run has left is listed, checked and kept.

    Not complete without a `reason`: it still runs, or its files are still being read.
    """

    complete: bool
    reason: str | None


class LogSummary(Model):
    """Size of the run's output. `truncated`: its middle was dropped at the type's limit."""

    bytes: int
    truncated: bool


class Left(Model):
    """Processes that outlived the program: how many there were, and how many took a KILL."""

    processes: int
    killed: int


class JobRun(Model):
    """The single attempt at a Job, or a direct run (`job_id` null).

    `started_at` is when it was claimed, `finished_at` when its program ended, both by the wall
    clock. `duration_s` is how long the program ran, by the clock that counts from boot.
    """

    run_id: str
    job_id: str | None
    type: str
    status: RunStatus
    params_snapshot: dict[str, Any]
    argv: list[str]
    pid: int | None
    started_at: datetime
    finished_at: datetime | None
    duration_s: float | None
    exit_code: int | None
    signal: int | None
    error: RunError | None
    result: Any
    artifacts: list[Artifact]
    collection: Collection
    log: LogSummary
    left: Left


class Reservation(Model):
    """A claim on the next free slot. `expires_at` counts from the moment the slot is held."""

    reservation_id: str
    kind: Literal["direct", "hold"]
    state: Literal["WAITING", "HELD", "ENDED"]
    run_id: str | None
    ttl_s: float | None
    created_at: datetime
    held_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None


class CumulativeStats(Model):
    """Totals over the life of the database; always equal to a recount of it."""

    total_executed: int
    succeeded: int
    failed: int
    cancelled: int
    skipped: int


class HostCondition(Model):
    """What of the host keeps Jobs from starting: a full disk, no process or descriptor left, ….

    No Job fails for it: they start by themselves when it is over.
    """

    reason: str
    since: datetime


class SchedulerStatus(Model):
    """The scheduler at one moment. `queue_length` = `eligible` + `deferred` + `unconfigured`.

    `unconfigured`: how many Jobs wait for a type that is not configured, by type; none of them is
    among the eligible or deferred.

    `host_condition` null: nothing of the host keeps Jobs from starting.
    """

    scheduler_running: bool
    current_job_id: str | None
    running_job_ids: list[str]
    queue_length: int
    eligible: int
    deferred: int
    unconfigured: dict[str, int] = {}
    cumulative_stats: CumulativeStats
    has_active_reservation: bool
    concurrency: int
    started_at: datetime
    durability: Literal["full"]
    host_condition: HostCondition | None = None


class SchedulerConfig(Model):
    """Limits in force. `overridden` names those set by PATCH, which win over the configuration."""

    concurrency: int
    types: dict[str, int | None]
    overridden: list[str]


def to_us(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, the way every time is stored."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_us(us: int) -> datetime:
    """The aware UTC datetime of `us` microseconds since 1970-01-01."""
    return _EPOCH + timedelta(microseconds=us)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
