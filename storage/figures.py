"""Figures for `/metrics`, each read from an index in bounded time.

Invariant: nothing here walks the queue or the history.
"""

from dataclasses import dataclass
from typing import NamedTuple

import apsw

from headway.model.run import RunStatus
from storage.job_row import STARTABLE

SOUGHT_RUNS_MAX = 5_000
"""How far one scrape goes back to find a success: some 10 ms."""


class QueueLength(NamedTuple):
    """Jobs of one type that wait: those that may start, and those whose time has not come."""

    eligible: int
    deferred: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """How far the search for a type's last COMPLETED run has come; `ended_at` in µs.

    Without `ended_at` it goes on `before` that run, or there is none if that is None too.
    """

    ended_at: int | None = None
    before: tuple[int, str] | None = None


NOT_YET_SOUGHT = Success(before=(2**63 - 1, ""))


def queue_by_type(connection: apsw.Connection) -> dict[str, QueueLength]:
    """The queue's length by type, from the kept counts; types of which nothing waits are absent."""
    rows = connection.execute(
        "SELECT type, sum(iif(hold = 'none', n, 0)), sum(iif(hold = 'none', 0, n)) FROM job_counts"
        " WHERE status = 'QUEUED' GROUP BY type HAVING sum(n) > 0"
    )
    return {type_name: QueueLength(eligible, deferred) for type_name, eligible, deferred in rows}


def submitted(connection: apsw.Connection) -> int:
    """How many Jobs there have ever been: a position is never given twice."""
    n = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").get
    assert n is None or isinstance(n, int)
    return n or 0


def waits_since(connection: apsw.Connection, type_name: str) -> int | None:
    """When (µs) the longest waiting of the type's Jobs that go first became eligible.

    First in their priority, that is: a step for each that is in use, however long the queue. None:
    no Job of the type is eligible.
    """
    moments: list[int] = []
    priority = 101
    while True:
        row = connection.execute(
            "SELECT priority, max(created_at, coalesce(run_at, 0)) FROM jobs"
            f" INDEXED BY jobs_eligible WHERE {STARTABLE}"
            " AND type = ? AND priority < ? ORDER BY type, priority DESC, position LIMIT 1",
            (type_name, priority),
        ).fetchone()
        if row is None:
            return min(moments, default=None)
        priority = row[0]
        moments.append(row[1])


def seek_success(connection: apsw.Connection, type_name: str, so_far: Success) -> Success:
    """Go on with the search, by `SOUGHT_RUNS_MAX` runs at most."""
    if so_far.before is None:
        return so_far
    run = None
    seen = 0
    for *run, status in connection.execute(
        "SELECT finished_at, run_id, status FROM job_runs INDEXED BY job_runs_finished"
        " WHERE type = ? AND finished_at IS NOT NULL AND (finished_at, run_id) < (?, ?)"
        " ORDER BY finished_at DESC, run_id DESC LIMIT ?",
        (type_name, *so_far.before, SOUGHT_RUNS_MAX),
    ):
        seen += 1
        if status == RunStatus.COMPLETED:
            return Success(ended_at=run[0])
    if run is None or seen < SOUGHT_RUNS_MAX:
        return Success()
    return Success(before=(run[0], run[1]))
