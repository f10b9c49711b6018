"""What the server answers, as the client reads it: the models that `storage` does not have.

A field that a newer server adds is passed over (see `connection.py`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from pydantic import BaseModel

from storage.job import Artifact, Collection, JobRun, ListedJob, Model, Reservation


class JobPage(Model):
    """One page of `GET /jobs`; `counts` counts all Jobs by status, not only this page's.

    Params over 4 KiB are not in it: `params_elided` says so, and `get_job` has them.
    """

    jobs: list[ListedJob]
    next_cursor: str | None
    counts: dict[str, int]


class Placed(Model):
    """Where one Job of a batch stands."""

    job_id: str
    position: int


class JobType(Model):
    """What may be run, as the operator defined it."""

    name: str
    description: str
    params_schema: dict[str, Any]
    timeout_s: float | None
    concurrency: int | None
    skip_exit_codes: list[int]


class Preview(Model):
    """What params would start; in place of each secret value stands `***`."""

    argv: list[str]
    stdin: str | None
    params: dict[str, Any]


class DirectRun(JobRun):
    """The answer of a direct run: the run, and its last 64 KiB of output as text."""

    log_tail: str


class Health(BaseModel):
    """`GET /health`, which has `version`, and `GET /ready`, which has the rest.

    `database`: "checking" or "checked". `warnings`: what works and still needs the operator.
    """

    status: str
    version: str | None = None
    database: str | None = None
    warnings: list[str] = []


class JobFilter(TypedDict, total=False):
    """Filters of `GET /jobs`: `label` is `key=value`, `order` desc (newest first) or asc.

    `retry_of`: the id of a Job, whose retries are wanted.
    """

    status: Sequence[str]
    type: Sequence[str]
    label: Sequence[str]
    q: str | None
    retry_of: str | None
    order: str | None


class FactFilter(TypedDict, total=False):
    """Filters of `GET /events`: `kind` may be a beginning like `run.`."""

    type: Sequence[str]
    kind: Sequence[str]


class JobChanges(TypedDict, total=False):
    """What may change while a Job is QUEUED; a key left out stays as it is, None clears it."""

    priority: int
    run_at: datetime | None
    name: str | None
    labels: Mapping[str, str]


class PlacedList(Model):
    jobs: list[Placed]


class RunList(Model):
    runs: list[JobRun]


class ArtifactList(Model):
    artifacts: list[Artifact]
    collection: Collection


class ReservationList(Model):
    reservations: list[Reservation]


class JobTypeList(Model):
    job_types: list[JobType]


class LogPiece(BaseModel):
    """One event of a log that is followed: where its text begins, and when that was written."""

    text: str
    offset: int | None = None
    at: datetime | None = None


class LogTime(BaseModel):
    """From `offset` on, up to the next entry's, the output was written by `at`."""

    offset: int
    at: datetime


class LogTimeList(BaseModel):
    times: list[LogTime]
