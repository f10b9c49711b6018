"""The scheduler's durable state: running or stopped, limits, and the kept counts."""

from collections.abc import Container
from dataclasses import dataclass, field

import apsw

from headway.model.field import from_us
from headway.model.job import JobStatus
from headway.model.run import RunStatus
from headway.model.scheduler import CumulativeStats, HostCondition, SchedulerStatus
from storage import reservations
from storage.transaction import Transaction


def is_running(connection: apsw.Connection) -> bool:
    """The operator's last start or stop; a new database starts running."""
    return bool(connection.execute("SELECT running FROM scheduler").get)


def set_running(tx: Transaction, running: bool) -> None:
    """Store the operator's start or stop; a repetition changes nothing and emits no event."""
    tx.execute("UPDATE scheduler SET running = ?1 WHERE running <> ?1", (running,))
    if tx.connection.changes():
        tx.emit("scheduler.started" if running else "scheduler.stopped")


def overrides(connection: apsw.Connection) -> tuple[int | None, dict[str, int]]:
    """(concurrency, limit by type) as set over HTTP; what is absent is as configured."""
    concurrency = connection.execute("SELECT concurrency FROM scheduler").get
    assert concurrency is None or isinstance(concurrency, int)
    return concurrency, dict(connection.execute("SELECT type, concurrency FROM type_limits"))


def override_concurrency(tx: Transaction, concurrency: int | None) -> None:
    """Set the number of slots; None restores the configured number."""
    tx.execute("UPDATE scheduler SET concurrency = ?", (concurrency,))


def override_type_limit(tx: Transaction, type: str, concurrency: int | None) -> None:
    """Set how many of a type run at once; None restores the configured limit."""
    if concurrency is None:
        tx.execute("DELETE FROM type_limits WHERE type = ?", (type,))
    else:
        tx.execute(
            "INSERT INTO type_limits VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET concurrency = excluded.concurrency",
            (type, concurrency),
        )


def queue_length(connection: apsw.Connection) -> int:
    """How many Jobs are QUEUED, from the kept counts."""
    n = connection.execute("SELECT coalesce(sum(n), 0) FROM job_counts WHERE status = 'QUEUED'").get
    assert isinstance(n, int)
    return n


@dataclass(slots=True)
class QueueCounts:
    """Jobs that are QUEUED. `unconfigured`: of types that are not configured, by type."""

    eligible: int = 0
    deferred: int = 0
    unconfigured: dict[str, int] = field(default_factory=dict)


def queue_counts(connection: apsw.Connection, types: Container[str]) -> QueueCounts:
    """Count QUEUED Jobs from the kept counts. `types`: those that are configured."""
    counts = QueueCounts()
    for type_name, hold, n in connection.execute(
        "SELECT type, hold, n FROM job_counts WHERE status = 'QUEUED' AND n > 0 ORDER BY type"
    ):
        if type_name not in types:
            counts.unconfigured[type_name] = counts.unconfigured.get(type_name, 0) + n
        elif hold == "none":
            counts.eligible += n
        else:
            counts.deferred += n
    return counts


def running_job_ids(connection: apsw.Connection) -> list[str]:
    """Jobs whose run is RUNNING, the one that started first in front."""
    return [
        job_id
        for (job_id,) in connection.execute(
            "SELECT job_id FROM job_runs INDEXED BY job_runs_running"
            " WHERE status = 'RUNNING' AND job_id IS NOT NULL"
            " ORDER BY started_at, run_id"
        )
    ]


def cumulative_stats(connection: apsw.Connection) -> CumulativeStats:
    """Totals from the kept counts: runs by status, and CANCELLED Jobs."""
    runs = dict(connection.execute("SELECT status, n FROM run_counts"))
    cancelled = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM job_counts WHERE status = ?", (JobStatus.CANCELLED,)
    ).get
    assert isinstance(cancelled, int)
    return CumulativeStats.model_construct(
        total_executed=sum(runs.values()),
        succeeded=runs.get(RunStatus.COMPLETED, 0),
        failed=runs.get(RunStatus.FAILED, 0),
        cancelled=cancelled,
        skipped=runs.get(RunStatus.SKIPPED, 0),
    )


def recounted_stats(connection: apsw.Connection) -> CumulativeStats:
    """The same totals counted anew from every row: what `cumulative_stats` must equal."""
    runs = dict(
        connection.execute(
            "SELECT status, count(*) FROM job_runs WHERE status <> 'RUNNING' GROUP BY status"
        )
    )
    cancelled = connection.execute("SELECT count(*) FROM jobs WHERE status = 'CANCELLED'").get
    assert isinstance(cancelled, int)
    return CumulativeStats(
        total_executed=sum(runs.values()),
        succeeded=runs.get(RunStatus.COMPLETED, 0),
        failed=runs.get(RunStatus.FAILED, 0),
        cancelled=cancelled,
        skipped=runs.get(RunStatus.SKIPPED, 0),
    )


def read_status(
    connection: apsw.Connection,
    *,
    types: Container[str],
    concurrency: int,
    started_at: int,
    host_condition: HostCondition | None = None,
) -> SchedulerStatus:
    """The status of the scheduler, as `GET /scheduler/status` returns it.

    `types` and `concurrency` as configured; `started_at` (µs) of the server.
    """
    running_ids = running_job_ids(connection)
    queued = queue_counts(connection, types)
    override, _ = overrides(connection)
    return SchedulerStatus.model_construct(
        scheduler_running=is_running(connection),
        current_job_id=running_ids[0] if running_ids else None,
        running_job_ids=running_ids,
        queue_length=queued.eligible + queued.deferred + sum(queued.unconfigured.values()),
        eligible=queued.eligible,
        deferred=queued.deferred,
        unconfigured=queued.unconfigured,
        cumulative_stats=cumulative_stats(connection),
        has_active_reservation=reservations.any_open(connection),
        concurrency=override or concurrency,
        started_at=from_us(started_at),
        durability="full",
        host_condition=host_condition,
    )
