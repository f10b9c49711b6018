"""What must always hold, as functions of a database and its facts.

Each check yields a sentence for every breach that it finds; none means that the invariant holds.
The checks only read, so they run on the database of a living server as well as on a dead one's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import apsw

from storage.job import TERMINAL, JobStatus
from storage.replay import NAMES, Breach, Replay
from storage.rollup import recount
from storage.scheduler import cumulative_stats, recounted_stats
from storage.transaction import Fact

BREACHES_SHOWN_MAX = 20

Check = Callable[[apsw.Connection], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant, and where it is broken (at most 20 places)."""

    name: str
    breaches: tuple[str, ...]


def verify(connection: apsw.Connection) -> list[Finding]:
    """Run every check on one snapshot of the database."""
    found: dict[str, list[str]] = {name: [] for name in (*CHECKS, *NAMES)}
    connection.execute("BEGIN")
    try:
        for name, check in CHECKS.items():
            found[name] += islice(check(connection), BREACHES_SHOWN_MAX)
        for name, breach in told(connection):
            if len(found[name]) < BREACHES_SHOWN_MAX:
                found[name].append(breach)
    finally:
        connection.execute("ROLLBACK")
    return [Finding(name, tuple(breaches)) for name, breaches in found.items()]


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
    """A Job has `finished_at` exactly if its status is terminal; nothing ends before it began."""
    for job_id, status, finished_at in connection.execute(
        "SELECT job_id, status, finished_at FROM jobs"
    ):
        if (JobStatus(str(status)) in TERMINAL) != (finished_at is not None):
            yield f"{job_id} is {status}, finished_at is {finished_at}"
    for name, began, ended in connection.execute(
        "SELECT job_id, started_at, finished_at FROM jobs WHERE finished_at < started_at"
        " UNION ALL"
        " SELECT run_id, started_at, finished_at FROM job_runs WHERE finished_at < started_at"
    ):
        yield f"{name} began at {began} and ended at {ended}"


def facts_kept(connection: apsw.Connection) -> Iterator[str]:
    """No fact was ever taken away: they are as many as the last one's number."""
    last, n = connection.execute("SELECT coalesce(max(seq), 0), count(*) FROM events").fetchone()  # type: ignore[misc]
    if n != last:
        yield f"there are {n} facts, and the last one is number {last}"


def unknown_not_success(connection: apsw.Connection) -> Iterator[str]:
    """A run is COMPLETED only by exit status 0, and SKIPPED only by one that was seen."""
    for run_id, status, exit_code in connection.execute(
        "SELECT run_id, status, exit_code FROM job_runs"
        " WHERE status = 'COMPLETED' AND exit_code IS NOT 0"
        " OR status = 'SKIPPED' AND exit_code IS NULL"
    ):
        yield f"{run_id} is {status} with exit status {exit_code}"


def idem_replay(connection: apsw.Connection) -> Iterator[str]:
    """An answer that is kept for a replay names a Job that is there."""
    for key, location in connection.execute(
        "SELECT key, location FROM idempotency WHERE location IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM jobs WHERE job_id = substr(location, length('/jobs/') + 1))"
    ):
        yield f"the answer to key {key} leads to {location}, which is not there"


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


def history_recount(connection: apsw.Connection) -> Iterator[str]:
    """The sums by the minute, which the charts show, equal a count of the facts."""
    for minute, *sums in recount(connection):
        yield f"the sums {sums} of minute {minute} stand on one side only"


def told(connection: apsw.Connection) -> Iterator[Breach]:
    """What the facts say is what may happen (see `Replay`), and leads to what the tables say."""
    replay = Replay()
    for row in connection.execute(
        "SELECT seq, at, kind, job_id, run_id, data FROM events ORDER BY seq"
    ):
        yield from replay.apply(Fact(*row))
    left = dict(replay.jobs)
    for job_id, status, deferred, priority in connection.execute(
        "SELECT job_id, status, deferred, priority FROM jobs"
    ):
        job = left.pop(str(job_id), None)
        if job is None or job.status != status:
            yield "LegalPath", f"{job_id} is {status}, which its facts do not say"
        elif status == JobStatus.QUEUED and (-job.place[0], not job.eligible) != (
            priority,
            bool(deferred),
        ):
            yield "DispatchOrder", f"{job_id} has a place in the queue that its facts do not say"
    for job_id in left:
        yield "LegalPath", f"{job_id} has facts, but is not there"
    rows = connection.execute("SELECT run_id FROM job_runs WHERE status = 'RUNNING'")
    for run_id in replay.running.keys() ^ {str(run_id) for (run_id,) in rows}:
        yield "LegalPath", f"{run_id} runs by its facts or by its row, not by both"


CHECKS: dict[str, Check] = {
    "Sound": sound,
    "OneRun": one_run,
    "SameStatus": same_status,
    "TerminalFinal": times_in_order,
    "FactsAtomic": facts_kept,
    "StatsRecount": stats_recount,
    "HistoryRecount": history_recount,
    "UnknownNotSuccess": unknown_not_success,
    "IdemReplay": idem_replay,
}
