"""`GET /metrics`: figures for Prometheus, in its text format, with names by its conventions.

Counters and histograms grow as long as the process lives and begin at zero with the next one, or
are kept in the database. Reading and writing them costs the event loop nothing that grows.
"""

import platform
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TypeVar

import apsw
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from actors.storage_watch import StorageSizes
from actors.tally import Histogram
from headway.model.run import RunStatus
from headway.model.scheduler import SchedulerStatus
from storage import figures
from storage.collections import count_unfinished
from storage.database import snapshot
from storage.figures import NOT_YET_SOUGHT, QueueLength, Success
from storage.job_list import count_by_status
from web.api.response import Response
from web.api.routes import Routes
from web.api.version import installed_version
from web.context import Context
from web.resources.scheduler import status_from

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
US = 1e6

K = TypeVar("K", str, tuple[str, str])
Histograms = Mapping[K, tuple[list[tuple[str, int]], float]]
"""Of each label: the buckets as (le, count), and the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Figures from the database, of one moment. `waits_since` (µs): by type, of those that wait."""

    status: SchedulerStatus
    jobs: Mapping[str, int]
    queue: Mapping[str, QueueLength]
    submitted: int
    waits_since: Mapping[str, int]
    collecting: int
    successes: Mapping[str, Success]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What this process has counted, as it is now: the tally goes on while this is written."""

    runs: Histograms[tuple[str, str]]
    waits: Histograms[str]
    last_success: Mapping[str, int]
    log_lines_dropped: int


def register(routes: Routes, context: Context) -> None:
    """Add the operation."""
    sought: dict[str, Success] = {}

    @routes.add(
        "GET",
        "/metrics",
        tag="system",
        summary="Figures for Prometheus",
        media=("text/plain",),
        refusals=("shutting_down", "unavailable"),
    )
    async def prometheus() -> Response[None]:
        types = tuple(context.job_types)
        stored = await context.walk(lambda connection: read(context, connection, types, sought))
        sought.update(stored.successes)
        scrape = Scrape(
            types=types,
            now=context.clock.now(),
            stored=stored,
            counted=counted(context),
            sizes=context.storage.sizes(),
            checked_at=context.inspector.checked_at,
        )
        body = await context.batch_runner.run(scrape.text)
        return Response(body=body, headers={"Content-Type": MEDIA_TYPE})


def read(
    context: Context,
    connection: apsw.Connection,
    types: Collection[str],
    sought: Mapping[str, Success],
) -> Stored:
    """On a reader's thread."""
    with snapshot(connection):
        queue = figures.queue_by_type(connection)
        waiting = {
            name: since
            for name in queue
            if name in types and (since := figures.waits_since(connection, name)) is not None
        }
        return Stored(
            status=status_from(context, connection),
            jobs=count_by_status(connection),
            queue=queue,
            submitted=figures.submitted(connection),
            waits_since=waiting,
            collecting=count_unfinished(connection),
            successes={
                name: figures.seek_success(connection, name, sought.get(name, NOT_YET_SOUGHT))
                for name in types
            },
        )


def counted(context: Context) -> Counted:
    """A copy of what the stats actor goes on counting."""
    tally = context.tally
    return Counted(
        runs={key: _frozen(histogram) for key, histogram in sorted(tally.runs.items())},
        waits={name: _frozen(histogram) for name, histogram in sorted(tally.waits.items())},
        last_success=dict(tally.last_success),
        log_lines_dropped=context.log_lines_dropped(),
    )


def _frozen(histogram: Histogram) -> tuple[list[tuple[str, int]], float]:
    buckets = [("+Inf" if le == inf else f"{le:g}", n) for le, n in histogram.buckets()]
    return buckets, histogram.sum_s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scrape:
    """What one scrape sees, and how it is written."""

    types: tuple[str, ...]
    now: int
    stored: Stored
    counted: Counted
    sizes: StorageSizes
    checked_at: int | None

    def text(self) -> bytes:
        """6 µs a line, so it belongs on a thread: a hundred types have 6,000."""
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterable[Metric]:
        """The families."""
        yield InfoMetricFamily(
            "headway_build",
            "Versions of what runs",
            value={
                "version": installed_version(),
                "python": platform.python_version(),
                "sqlite": apsw.sqlite_lib_version(),
            },
        )
        yield from self._states()
        yield from self._queue()
        yield from self._runs()
        yield from self._storage()

    def _states(self) -> Iterable[Metric]:
        status = self.stored.status
        yield gauge("scheduler_running", "1 if Jobs may start", status.scheduler_running)
        yield gauge("slots", "Jobs that may run at once", status.concurrency)
        yield gauge(
            "host_condition",
            "1 while the host keeps Jobs from starting: a full disk, no process left, …",
            status.host_condition is not None,
        )
        yield gauge(
            "runs_collecting",
            "Runs that have ended, whose artifacts are still being collected",
            self.stored.collecting,
        )
        yield CounterMetricFamily(
            "headway_log_lines_dropped",
            "Lines of the log that could not be written",
            value=self.counted.log_lines_dropped,
        )

    def _queue(self) -> Iterable[Metric]:
        stored = self.stored
        yield labelled("jobs", "Jobs by status", "status", stored.jobs)
        yield CounterMetricFamily(
            "headway_jobs_submitted",
            "Jobs that were ever submitted, kept in the database",
            value=stored.submitted,
        )
        lengths = {**dict.fromkeys(self.types, QueueLength(0, 0)), **stored.queue}
        yield labelled(
            "queued_jobs",
            "Jobs that wait, deferred ones too",
            "type",
            {name: sum(length) for name, length in lengths.items()},
        )
        yield labelled(
            "deferred_jobs",
            "Jobs that wait for their run_at",
            "type",
            {name: length.deferred for name, length in lengths.items()},
        )
        yield labelled(
            "unconfigured_jobs",
            "Jobs that wait for a type that is not configured",
            "type",
            stored.status.unconfigured,
        )
        yield labelled(
            "oldest_eligible_job_age_seconds",
            "How long the Job that goes first of its type, in any priority, has been eligible; "
            "0 if there is none",
            "type",
            {
                name: max(0, self.now - stored.waits_since.get(name, self.now)) / US
                for name in lengths
            },
        )

    def _runs(self) -> Iterable[Metric]:
        totals = self.stored.status.cumulative_stats
        ended = {
            RunStatus.COMPLETED: totals.succeeded,
            RunStatus.FAILED: totals.failed,
            RunStatus.SKIPPED: totals.skipped,
        }
        ended[RunStatus.CANCELLED] = totals.total_executed - sum(ended.values())
        runs = CounterMetricFamily(
            "headway_runs", "Runs that have ended, kept in the database", labels=["status"]
        )
        for status, n in ended.items():
            runs.add_metric([status.value], n)
        yield runs
        durations = HistogramMetricFamily(
            "headway_run_duration_seconds",
            "How long runs took that have ended since the process started",
            labels=["type", "status"],
        )
        for labels, (buckets, sum_s) in self.counted.runs.items():
            durations.add_metric(labels, buckets, sum_s)
        yield durations
        waits = HistogramMetricFamily(
            "headway_wait_seconds",
            "How long those runs had waited, once eligible, until they started",
            labels=["type"],
        )
        for name, (buckets, sum_s) in self.counted.waits.items():
            waits.add_metric([name], buckets, sum_s)
        yield waits
        yield labelled(
            "last_success_timestamp_seconds",
            "When the type's last COMPLETED run ended; 0 if there is none, absent while it is"
            " looked for",
            "type",
            self._last_successes(),
        )

    def _last_successes(self) -> dict[str, float]:
        found = {}
        for name in self.types:
            stored = self.stored.successes[name]
            here = self.counted.last_success.get(name, 0)
            if here or stored.before is None:
                found[name] = max(here, stored.ended_at or 0) / US
        return found

    def _storage(self) -> Iterable[Metric]:
        sizes = self.sizes
        yield gauge("database_bytes", "Size of the database", sizes.database_bytes)
        yield gauge("wal_bytes", "Size of its write-ahead log", sizes.wal_bytes)
        yield gauge(
            "disk_free_bytes",
            "What is free for the server on the file system of the data directory",
            sizes.free_bytes,
        )
        yield gauge(
            "database_checked_timestamp_seconds",
            "When all pages of the database were found sound; 0: not yet since the start",
            (self.checked_at or 0) / US,
        )


def gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    """One without labels."""
    return GaugeMetricFamily(f"headway_{name}", meaning, value=value)


def labelled(name: str, meaning: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """A gauge for each value of one label."""
    family = GaugeMetricFamily(f"headway_{name}", meaning, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
