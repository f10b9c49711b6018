"""Why a Job does not run, as it is told: the models."""

from datetime import datetime
from typing import Literal

from headway.model.field import Model
from headway.model.job import JobStatus

ReasonCode = Literal[
    "draining",
    "unknown_type",
    "expired",
    "not_due",
    "scheduler_stopped",
    "host",
    "reservation",
    "no_free_slot",
    "type_limit",
    "jobs_ahead",
]


class Reason(Model):
    """One thing that holds the Job back at this moment, whatever else does.

    `count`: how many Jobs, slots or reservations it speaks of. `until`: when it ends by itself,
    if that is known. `by`: what stands in the way (Jobs, runs, reservations; at most 20 names).
    """

    code: ReasonCode
    message: str
    count: int | None = None
    until: datetime | None = None
    by: tuple[str, ...] = ()


class Estimate(Model):
    """When the Job will probably start: nine times in ten between `earliest` and `latest`."""

    start_at: datetime
    earliest: datetime
    latest: datetime


class Ending(Model):
    """When a running Job will probably end: nine times in ten between `earliest` and `latest`."""

    end_at: datetime
    earliest: datetime
    latest: datetime


class Explanation(Model):
    """`waiting`: everything that holds the Job back; empty when it runs, has ended or starts now.

    `ahead`: how many eligible Jobs go before it, null unless it is one itself; not `ahead_exact`:
    at least so many. `estimate` (of the start) and `ending` (of a running Job) rest on the last
    200 runs of each type that has a part in it; null: not to be known, since one of them was never
    measured, or since somebody has to act first.
    """

    job_id: str
    status: JobStatus
    waiting: list[Reason]
    ahead: int | None
    ahead_exact: bool
    estimate: Estimate | None
    ending: Ending | None
    message: str
