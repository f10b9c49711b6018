"""History: events added up by the minute while they are written, and read as a chart.

Invariant: what is kept equals a count of all events, since it is written in their transaction.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from math import ceil, log
from typing import Any

import apsw
from pydantic_core import from_json

from headway.model.field import from_us
from headway.model.history import History, HistoryPoint, Percentiles
from storage.events import Event

MINUTE_US = 60_000_000
KEPT_STEPS_S = (60, 3600)
"""How coarse the histograms are kept: a chart reads the coarsest that its steps consist of."""
GROWTH = 1.1
"""Each bucket of a histogram ends a tenth further than the one before."""

_PER_LOG = 1 / log(GROWTH)
_OUTCOMES = ("COMPLETED", "FAILED", "SKIPPED", "CANCELLED")


def bucket(us: int) -> int:
    """The bucket of a duration in µs."""
    return int(log(us) * _PER_LOG) if us >= 1 else -1


def middle_s(bucket_: int) -> float:
    """The duration in seconds that stands for a bucket."""
    return 0.0 if bucket_ < 0 else GROWTH ** (bucket_ + 0.5) / 1e6


def add_up(connection: apsw.Connection, now: int, events: Iterable[Event]) -> None:
    """Add the events of one transaction, which all have its moment, to the minute's sums."""
    queued = 0
    ended: Counter[str] = Counter()
    times: Counter[tuple[str, int]] = Counter()
    for event in events:
        match event.kind:
            case "job.submitted":
                queued += 1
            case "run.started":
                queued -= event.job_id is not None
            case "run.finished":
                data = from_json(event.data)
                ended[data["status"]] += 1
                times["wait", bucket(round(data["waited_s"] * 1e6))] += 1
                times["run", bucket(round(data["duration_s"] * 1e6))] += 1
            case "job.cancelled" | "job.skipped":
                queued -= 1
                ended[event.kind.partition(".")[2].upper()] += 1
    minute = now // MINUTE_US
    if queued or ended:
        connection.execute(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " queued = queued + excluded.queued, completed = completed + excluded.completed,"
            " failed = failed + excluded.failed, skipped = skipped + excluded.skipped,"
            " cancelled = cancelled + excluded.cancelled",
            (minute, queued, *(ended[outcome] for outcome in _OUTCOMES)),
        )
    if times:
        connection.executemany(
            "INSERT INTO history_times VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [
                (step_s, now // 1_000_000 // step_s, measure, bucket_, n)
                for (measure, bucket_), n in times.items()
                for step_s in KEPT_STEPS_S
            ],
        )


WRONG = """
SELECT minute, sum(queued), sum(completed), sum(failed), sum(skipped), sum(cancelled) FROM (
    SELECT minute, queued, completed, failed, skipped, cancelled FROM history
    UNION ALL
    SELECT at / 60000000,
        -sum((kind = 'job.submitted') - (kind IN ('job.cancelled', 'job.skipped'))
            - (kind = 'run.started' AND job_id IS NOT NULL)),
        -sum(kind = 'run.finished' AND data ->> 'status' = 'COMPLETED'),
        -sum(kind = 'run.finished' AND data ->> 'status' = 'FAILED'),
        -sum(kind = 'job.skipped' OR kind = 'run.finished' AND data ->> 'status' = 'SKIPPED'),
        -sum(kind = 'job.cancelled' OR kind = 'run.finished' AND data ->> 'status' = 'CANCELLED')
    FROM events
    WHERE kind IN ('job.submitted', 'job.cancelled', 'job.skipped', 'run.started', 'run.finished')
    GROUP BY 1
) GROUP BY 1 HAVING sum(queued) OR sum(completed) OR sum(failed) OR sum(skipped) OR sum(cancelled)
"""
"""By how much `history` exceeds the events; a minute whose sums are zero may be missing."""

WRONG_TIMES = """
WITH ended AS MATERIALIZED (
    SELECT at / 60000000 AS minute, count(*) AS n FROM events WHERE kind = 'run.finished' GROUP BY 1
)
SELECT step * step_s / 60, measure, step_s, sum(n) FROM (
    SELECT step_s, step, measure, n FROM history_times
    UNION ALL
    SELECT column1, minute * 60 / column1, column2, -n
    FROM ended CROSS JOIN (VALUES (60, 'wait'), (60, 'run'), (3600, 'wait'), (3600, 'run'))
) GROUP BY step_s, step, measure HAVING sum(n) <> 0
"""
"""By how many times `history_times` holds more of a measure, in a step, than runs ended in it."""


def recount(connection: apsw.Connection) -> list[tuple[Any, ...]]:
    """The minutes whose sums differ from the events, and by how much; none if all is well."""
    return [*connection.execute(WRONG), *connection.execute(WRONG_TIMES)]


def read_history(connection: apsw.Connection, now: int, *, step_s: int, steps: int) -> History:
    """The last `steps` whole steps and the one that has begun. `step_s`: whole minutes.

    To be read in one snapshot. The queue's length is followed backwards from what it is now.
    """
    step = step_s // 60
    last = now // MINUTE_US // step * step  # the minute in which the step that has begun did so
    first = last - steps * step
    sums = _sums(connection, first, step, steps)
    times = _times(connection, first, step, steps)
    length = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM job_counts WHERE status = 'QUEUED'"
    ).get
    assert isinstance(length, int)
    points = []
    for index in range(steps, -1, -1):
        queued, completed, failed, skipped, cancelled = sums.get(index, (0, 0, 0, 0, 0))
        at = now if index == steps else (first + (index + 1) * step) * MINUTE_US
        points.append(
            HistoryPoint.model_construct(
                at=from_us(at),
                queue_length=length,
                completed=completed,
                failed=failed,
                skipped=skipped,
                cancelled=cancelled,
                wait_s=percentiles(times[index, "wait"]),
                run_s=percentiles(times[index, "run"]),
            )
        )
        length -= queued
    return History.model_construct(
        from_=from_us(first * MINUTE_US), to=from_us(now), step_s=step_s, points=points[::-1]
    )


def percentiles(histogram: Mapping[int, int]) -> Percentiles | None:
    """The percentiles of durations, given as bucket → n; None if there are none."""
    total = sum(histogram.values())
    if not total:
        return None
    found, ordered = [], sorted(histogram.items())
    for share in (0.50, 0.95, 0.99):
        rank, seen = ceil(share * total), 0
        for bucket_, n in ordered:
            seen += n
            if seen >= rank:
                found.append(middle_s(bucket_))
                break
    p50, p95, p99 = found
    return Percentiles.model_construct(p50=p50, p95=p95, p99=p99)


def _sums(
    connection: apsw.Connection, first: int, step: int, steps: int
) -> dict[int, tuple[int, ...]]:
    """The sums by step. Minutes that a clock set back has left in the future count as now."""
    rows = connection.execute(
        "SELECT min((minute - ?1) / ?2, ?3), sum(queued), sum(completed), sum(failed),"
        " sum(skipped), sum(cancelled) FROM history WHERE minute >= ?1 GROUP BY 1",
        (first, step, steps),
    )
    return {index: tuple(sums) for index, *sums in rows}


def _times(
    connection: apsw.Connection, first: int, step: int, steps: int
) -> dict[tuple[int, str], Counter[int]]:
    """By step and measure. Added up here: grouping in SQL takes four times as long."""
    found: defaultdict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    kept_s = max(kept_s for kept_s in KEPT_STEPS_S if step * 60 % kept_s == 0)
    begin, width = first * 60 // kept_s, step * 60 // kept_s
    rows: Any = connection.execute(
        "SELECT step, measure, bucket, n FROM history_times WHERE step_s = ? AND step >= ?",
        (kept_s, begin),
    )
    for at, measure, bucket_, n in rows:
        found[min((at - begin) // width, steps), measure][bucket_] += n
    return found
