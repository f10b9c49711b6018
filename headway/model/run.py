"""JobRun: the one attempt at a Job, or a direct run."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from headway.model.artifact import Artifact, Collection
from headway.model.field import Model, empty_object


class RunStatus(StrEnum):
    """The state of a JobRun."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


Lane = Literal["queue", "direct", "legacy"]
"""How a run was started: from the queue, ahead of it, or outside it (legacy trigger)."""
ErrorCode = Literal["exit_status", "signal", "timeout", "spawn", "output_limit", "interrupted"]
StopReason = Literal["cancel", "timeout", "output_limit", "shutdown"]
"""Why headway itself ends a program; committed before the first signal is sent."""


class RunError(Model):
    """Why a run failed: a stable code and a sentence for people."""

    code: ErrorCode
    message: str


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

    `started_at` is when it left the queue, `finished_at` when its program ended, both by the wall
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


class RunList(Model):
    """The single attempt at a Job, or none yet."""

    runs: list[JobRun]
    total: int


class DirectRequest(Model):
    """The parameters of the type."""

    params: dict[str, Any] = empty_object()


class DirectRun(JobRun):
    """A run without a Job. `log_tail`: the last 64 KiB of its output, read as UTF-8."""

    log_tail: str
