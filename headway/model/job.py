"""Job: a request to run one job type once, and the table of the transitions of its status.

Invariant: nothing leaves a terminal status, and no module writes a status that `TRANSITIONS` does
not allow; the SQL that changes a status repeats the old one in its WHERE clause. How a row is
stored is in `storage/jobs.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypedDict

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from headway.model.field import Labels, Model, Name, Priority, Seconds, Time, empty_object


class JobStatus(StrEnum):
    """The state of a Job."""

    QUEUED = "QUEUED"
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
BATCH_MAX = 10_000
"""The most Jobs of one batch."""
TERMINAL = frozenset(status for status, after in TRANSITIONS.items() if not after)


class NewJob(Model):
    """A request for a Job. `run_at` null means as soon as a slot is free."""

    type: Annotated[str, StringConstraints(max_length=100)]
    params: dict[str, Any] = empty_object()
    priority: Priority = 0
    run_at: Time | None = None
    expires_at: Time | None = None
    name: Name | None = None
    labels: Labels = empty_object()
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
    """The last progress that the program reported: a fraction from 0 to 1, and a message.

    It is shown when it is reported, and stored at most every 5 seconds and at the end; only then
    the Job's `version` grows.
    """

    fraction: float | None
    message: str | None


class Job(Model):
    """A request to run one job type once. `version` grows by one with every change.

    `finished_at` is when its program ended by the wall clock; `duration_s` is how long the program
    ran, by a clock that cannot be set. A Job that never ran has none.
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


class JobPage(Model):
    """One page. `next_cursor` null: it was the last. `counts`: all Jobs by status.

    Params over 4 KiB are left out and marked (`params_elided`). A page ends early after 1 MiB.
    """

    jobs: list[ListedJob]
    next_cursor: str | None
    counts: dict[str, int]


class Batch(Model):
    """Jobs that are queued all, or none."""

    jobs: Annotated[list[NewJob], Field(min_length=1, max_length=BATCH_MAX)]


class BatchItem(Model):
    """Where one Job of a batch stands in the order of arrival."""

    job_id: str
    position: int


class BatchResponse(Model):
    """The Jobs of a batch, in its order."""

    jobs: list[BatchItem]


class JobQuery(TypedDict, total=False):
    """Filters of `GET /jobs`: `label` is `key=value`, `order` desc (newest first) or asc.

    `retry_of`: the id of a Job, to list only its retries.
    """

    status: Sequence[str]
    type: Sequence[str]
    label: Sequence[str]
    q: str | None
    retry_of: str | None
    order: Literal["asc", "desc"]


class JobChanges(TypedDict, total=False):
    """The fields that may change while a Job is QUEUED; one left out stays, None clears it."""

    priority: int
    run_at: datetime | None
    name: str | None
    labels: Mapping[str, str]
