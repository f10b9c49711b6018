"""The scheduler: its state, its limits, its cumulative figures."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from headway.model.field import Model, Slots


class CumulativeStats(Model):
    """Totals since the database was made; always equal to a recount of it."""

    total_executed: int
    succeeded: int
    failed: int
    cancelled: int
    skipped: int


class HostCondition(Model):
    """A condition of the host that keeps Jobs from starting, such as a full disk.

    No Job fails because of it: they start by themselves when it is over.
    """

    reason: str
    since: datetime


class SchedulerStatus(Model):
    """The scheduler at one moment. `queue_length` = `eligible` + `deferred` + `unconfigured`.

    `unconfigured`: how many Jobs wait for a type that is not configured, by type; none of them is
    among the eligible or deferred.

    `host_condition` null: no condition of the host keeps Jobs from starting.
    """

    scheduler_running: bool
    current_job_id: str | None
    running_job_ids: list[str]
    queue_length: int
    eligible: int
    deferred: int
    unconfigured: dict[str, int] = {}  # noqa: RUF012 - pydantic copies it
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


class StopRequest(Model):
    """How long the response may wait for running Jobs to end."""

    wait_s: Annotated[float, Field(ge=0, le=300, strict=True, allow_inf_nan=False)] = 0.0


class ConfigPatch(Model):
    """Limits to change; null restores the configuration's. What is left out stays."""

    concurrency: Slots | None = None
    types: dict[str, Slots | None] = {}  # noqa: RUF012 - pydantic copies it


class TypeTimes(Model):
    """Seconds at p50, p95 and p99 over the type's last runs (at most 1,000)."""

    type: str
    runs: int
    by_status: dict[str, int]
    wait_s: dict[str, float]
    run_s: dict[str, float]
    runs_per_minute: float


class Metrics(Model):
    """How long Jobs wait and run, per type."""

    types: list[TypeTimes]
