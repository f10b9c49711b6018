"""Explanation: why a Job does not run, its position, and when it will probably start or end."""

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
    """One cause that keeps the Job from starting now, independent of the others.

    `count`: the number of Jobs, slots or reservations concerned. `until`: when it ends by itself,
    if that is known. `by`: the Jobs, runs or reservations that block it (at most 20 ids).
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
    """Why a Job waits, and when it will probably start or end.

    `waiting`: every cause; empty when the Job runs, has ended or starts now. `ahead`: how many
    eligible Jobs are before it, null unless it is eligible itself; without `ahead_exact` at least
    that many. `estimate` (of the start) and `ending` (of a running Job) are based on the last 200
    runs of each type involved; null: unknown, since one of them was never measured, or since the
    Job waits for an action of a person.
    """

    job_id: str
    status: JobStatus
    waiting: list[Reason]
    ahead: int | None
    ahead_exact: bool
    estimate: Estimate | None
    ending: Ending | None
    message: str
