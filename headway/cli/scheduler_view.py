"""Tables of the scheduler: its state, its limits, its history."""

from rich.table import Table

from headway.cli.table import add_row, duration_text, fields_table, given, new_table, time_text
from headway.model.history import History
from headway.model.scheduler import SchedulerConfig, SchedulerStatus


def scheduler_view(status: SchedulerStatus) -> Table:
    """The state of the scheduler, a line for each field that has a value."""
    stats = status.cumulative_stats
    return fields_table(
        [
            ("Scheduler", "running" if status.scheduler_running else "stopped"),
            *given(("Starts nothing", status.host_condition and status.host_condition.reason)),
            ("Running", ", ".join(status.running_job_ids) or "nothing"),
            (
                "Queue",
                f"{status.queue_length} ({status.eligible} may start, {status.deferred} wait)",
            ),
            *given(("Not configured", unconfigured_text(status))),
            ("Reservation", "yes" if status.has_active_reservation else "no"),
            ("Concurrency", str(status.concurrency)),
            ("Runs so far", f"{stats.total_executed}"),
            (
                "Of these",
                f"{stats.succeeded} succeeded, {stats.failed} failed, {stats.skipped} skipped",
            ),
            ("Cancelled", f"{stats.cancelled} Jobs"),
            ("Since", time_text(status.started_at)),
        ]
    )


def unconfigured_text(status: SchedulerStatus) -> str:
    """How many Jobs wait for a type that is not configured."""
    return ", ".join(f"{n} of type {name}" for name, n in status.unconfigured.items())


def config_view(config: SchedulerConfig) -> Table:
    """The limits in force, one per line."""
    limits = {"All": config.concurrency, **config.types}
    return fields_table(
        [
            (
                name,
                "no limit of its own" if limit is None else f"at most {limit} at once",
            )
            for name, limit in limits.items()
        ]
    )


def history_table(history: History) -> Table:
    """One step per line; steps in which nothing changed are left out."""
    table = new_table(
        *("UNTIL", "QUEUED", "COMPLETED", "FAILED", "SKIPPED", "CANCELLED"),
        *("WAITED (p50, p95)", "RAN (p50, p95)"),
        fluid=2,
    )
    length = None
    for point in history.points:
        ended = (point.completed, point.failed, point.skipped, point.cancelled)
        if any(ended) or point.queue_length != length or point is history.points[-1]:
            times = (
                "" if each is None else f"{duration_text(each.p50)}, {duration_text(each.p95)}"
                for each in (point.wait_s, point.run_s)
            )
            numbers = map(str, (point.queue_length, *ended))
            add_row(table, time_text(point.at), *numbers, *times)
        length = point.queue_length
    return table
