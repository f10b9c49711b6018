"""History: the queue and its outcomes over the last hour, day or week."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from headway.model.field import Model


class Percentiles(Model):
    """Seconds, by the nearest rank in a histogram: at most 5 % off."""

    p50: float
    p95: float
    p99: float


class HistoryPoint(Model):
    """The queue length at `at`, and what ended in the step before it.

    It counts runs by their outcome, and Jobs that were skipped or cancelled before they ran.
    `wait_s` and `run_s` are of the runs that ended in the step; null: none did.
    """

    at: datetime
    queue_length: int
    completed: int
    failed: int
    skipped: int
    cancelled: int
    wait_s: Percentiles | None
    run_s: Percentiles | None


class History(Model):
    """Points `step_s` apart; the last is of now, so the step before it may be shorter."""

    # `from` is a keyword of Python.
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    from_: Annotated[datetime, Field(alias="from")]
    to: datetime
    step_s: int
    points: list[HistoryPoint]
