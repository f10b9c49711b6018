"""What must always hold, as functions of a database and its facts.

Each check yields a sentence for every breach that it finds; none means that the invariant holds.
The checks only read, so they run on the database of a living server as well as on a dead one's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import apsw

from storage.job import TERMINAL, TRANSITIONS, JobStatus
from storage.scheduler import cumulative_stats, recounted_stats

BREACHES_SHOWN_MAX = 20

Check = Callable[[apsw.Connection], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant, and where it is broken (at most 20 places)."""

    name: str
    breaches: tuple[str, ...]


def verify(connection: apsw.Connection) -> list[Finding]:
    """Run every check on one snapshot of the database."""
    connection.execute("BEGIN")
    try:
        return [
            Finding(name, tuple(islice(check(connection), BREACHES_SHOWN_MAX)))
            for name, check in CHECKS.items()
        ]
    finally:
        connection.execute("ROLLBACK")


def sound(connection: apsw.Connection) -> Iterator[str]:
    """Every page of the file is what SQLite expects, and every reference leads somewhere."""
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield str(line)
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"{table} row {row} refers to a row of {parent} that is not there"


def one_run(connection: apsw.Connection) -> Iterator[str]:
    """A Job has at most one JobRun, and has one exactly if it has started."""
    for job_id, n in connection.execute(
        "SELECT job_id, count(*) FROM job_runs WHERE job_id IS NOT NULL"
        " GROUP BY job_id HAVING count(*) > 1"
    ):
        yield f"{job_id} has {n} runs"
    for job_id, status in connection.execute(
        "SELECT j.job_id, j.status FROM jobs AS j LEFT JOIN job_runs AS r ON r.job_id = j.job_id"
        " WHERE (j.started_at IS NULL) <> (r.run_id IS NULL)"
    ):
        yield f"{job_id} is {status}, and its start and its run do not agree"


def same_status(connection: apsw.Connection) -> Iterator[str]:
    """A Job that has a run has the run's status."""
    for job_id, job_status, run_status in connection.execute(
        "SELECT j.job_id, j.status, r.status FROM jobs AS j JOIN job_runs AS r"
        " ON r.job_id = j.job_id WHERE j.status <> r.status"
    ):
        yield f"{job_id} is {job_status}, but its run is {run_status}"


def times_in_order(connection: apsw.Connection) -> Iterator[str]:
    """A Job has `finished_at` exactly if its status is terminal."""
    for job_id, status, finished_at in connection.execute(
        "SELECT job_id, status, finished_at FROM jobs"
    ):
        if (JobStatus(str(status)) in TERMINAL) != (finished_at is not None):
            yield f"{job_id} is {status}, finished_at is {finished_at}"


def facts_atomic(connection: apsw.Connection) -> Iterator[str]:
    """The facts number from 1 without a gap."""
    first, last, n = connection.execute(
        "SELECT coalesce(min(seq), 1), coalesce(max(seq), 0), count(*) FROM events"
    ).fetchone() or (1, 0, 0)
    if (first, n) != (1, last):
        yield f"{n} facts are numbered from {first} to {last}"


def legal_path(connection: apsw.Connection) -> Iterator[str]:
    """The facts about each Job lead, by the table of transitions, to the status that it has."""
    told: dict[str, JobStatus] = {}
    for kind, job_id, status in connection.execute(
        "SELECT kind, job_id, data ->> 'status' FROM events WHERE job_id IS NOT NULL AND kind IN"
        " ('job.submitted', 'job.cancelled', 'job.skipped', 'run.started', 'run.finished')"
        " ORDER BY seq"
    ):
        before, after = told.get(str(job_id)), _status_after(str(kind), status)
        if (before is None) != (kind == "job.submitted"):
            yield f"{job_id}: {kind} comes when it was {before}"
        elif before is not None and after not in TRANSITIONS[before]:
            yield f"{job_id}: {kind} takes it from {before} to {after}"
        told[str(job_id)] = after
    for job_id, status in connection.execute("SELECT job_id, status FROM jobs"):
        if told.pop(str(job_id), None) != status:
            yield f"{job_id} is {status}, which its facts do not say"
    for job_id in told:
        yield f"{job_id} has facts, but is not there"


def _status_after(kind: str, status: object) -> JobStatus:
    match kind:
        case "job.submitted":
            return JobStatus.QUEUED
        case "job.cancelled":
            return JobStatus.CANCELLED
        case "job.skipped":
            return JobStatus.SKIPPED
        case "run.started":
            return JobStatus.RUNNING
        case _:
            return JobStatus(str(status))


def stats_recount(connection: apsw.Connection) -> Iterator[str]:
    """The kept figures equal a count of every row."""
    kept, counted = cumulative_stats(connection), recounted_stats(connection)
    if kept != counted:
        yield f"kept {kept!r}, counted {counted!r}"
    for row in connection.execute(
        "SELECT type, status, deferred, n FROM job_counts WHERE n <> 0 EXCEPT"
        " SELECT type, status, deferred, count(*) FROM jobs GROUP BY type, status, deferred"
    ):
        yield f"kept count {row} is not what the rows say"
    for row in connection.execute(
        "SELECT type, status, deferred, count(*) FROM jobs GROUP BY type, status, deferred EXCEPT"
        " SELECT type, status, deferred, n FROM job_counts"
    ):
        yield f"counted {row}, which is not kept"


def reservation_order(connection: apsw.Connection) -> Iterator[str]:
    """Each reservation ends at most once, and while one waits no run starts from the queue."""
    waiting: set[str] = set()
    ended: set[str] = set()
    for seq, kind, reservation_id, lane in connection.execute(
        "SELECT seq, kind, data ->> 'reservation_id', data ->> 'lane' FROM events"
        " WHERE kind IN ('reservation.requested', 'reservation.held', 'reservation.ended',"
        " 'run.started') ORDER BY seq"
    ):
        match kind:
            case "reservation.requested":
                waiting.add(str(reservation_id))
            case "reservation.held":
                waiting.discard(str(reservation_id))
            case "reservation.ended":
                if reservation_id in ended:
                    yield f"{reservation_id} ended twice"
                waiting.discard(str(reservation_id))
                ended.add(str(reservation_id))
            case _ if lane == "queue" and waiting:
                yield f"fact {seq}: a Job started while {sorted(waiting)[0]} waited"


CHECKS: dict[str, Check] = {
    "Sound": sound,
    "OneRun": one_run,
    "SameStatus": same_status,
    "TerminalFinal": times_in_order,
    "FactsAtomic": facts_atomic,
    "LegalPath": legal_path,
    "StatsRecount": stats_recount,
    "ReservationOrder": reservation_order,
}
