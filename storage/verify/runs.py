"""The invariants that the table of runs shows, and what a Job and its run have in common."""

from collections.abc import Iterator

import apsw

from storage.verify.check import Checks


def same_status(connection: apsw.Connection) -> Iterator[str]:
    """A Job that has a run has the run's status."""
    for job_id, job_status, run_status in connection.execute(
        "SELECT j.job_id, j.status, r.status FROM jobs AS j JOIN job_runs AS r"
        " ON r.job_id = j.job_id WHERE j.status <> r.status"
    ):
        yield f"{job_id} is {job_status}, but its run is {run_status}"


def runs_started(connection: apsw.Connection) -> Iterator[str]:
    """Every run was started by an event."""
    for (run_id,) in connection.execute(
        "SELECT run_id FROM job_runs AS r WHERE job_id IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM events AS e WHERE e.job_id = r.job_id AND e.run_id = r.run_id"
        " AND kind = 'run.started')"
        " UNION ALL SELECT * FROM (SELECT run_id FROM job_runs WHERE job_id IS NULL EXCEPT"
        " SELECT run_id FROM events WHERE kind = 'run.started' AND job_id IS NULL)"
    ):
        yield f"{run_id} is there, and was never started"


def times_in_order(connection: apsw.Connection) -> Iterator[str]:
    """A Job has `finished_at` exactly if its status is terminal; nothing ends before it began.

    A Job that has run ended when its run did, and took as long.
    """
    for name, status, finished_at in connection.execute(
        "SELECT job_id, status, finished_at FROM jobs"
        " WHERE (status IN ('QUEUED', 'RUNNING')) = (finished_at IS NOT NULL) UNION ALL"
        " SELECT run_id, status, finished_at FROM job_runs"
        " WHERE (status = 'RUNNING') = (finished_at IS NOT NULL)"
    ):
        yield f"{name} is {status}, finished_at is {finished_at}"
    for name, began, ended in connection.execute(
        "SELECT job_id, started_at, finished_at FROM jobs WHERE finished_at < started_at"
        " UNION ALL"
        " SELECT run_id, started_at, finished_at FROM job_runs WHERE finished_at < started_at"
    ):
        yield f"{name} began at {began} and ended at {ended}"
    for job_id, ended, run_ended in connection.execute(
        "SELECT j.job_id, j.finished_at, r.finished_at FROM jobs AS j JOIN job_runs AS r"
        " ON r.job_id = j.job_id"
        " WHERE j.finished_at <> r.finished_at OR j.duration_us <> r.duration_us"
    ):
        yield f"{job_id} ended at {ended}, its run at {run_ended}, or their durations differ"


def cancelled_as_asked(connection: apsw.Connection) -> Iterator[str]:
    """A run is CANCELLED only if it was ended because of a cancel; asked to be, it may also have
    come to its own end before, and shows how."""
    for run_id, status, reason in connection.execute(
        "SELECT run_id, status, stop_reason FROM job_runs WHERE status <> 'RUNNING'"
        " AND (status = 'CANCELLED' AND stop_reason IS NOT 'cancel' OR status <> 'CANCELLED'"
        " AND stop_reason IS 'cancel' AND exit_code IS NULL AND signal IS NULL)"
    ):
        yield f"{run_id} is {status}, and the reason to end it is {reason or 'none'}"


def unknown_not_success(connection: apsw.Connection) -> Iterator[str]:
    """A run is COMPLETED only by exit status 0, SKIPPED only by one that was seen, and without an
    error; FAILED it is only with one."""
    for run_id, status, exit_code, error in connection.execute(
        "SELECT run_id, status, exit_code, error_code FROM job_runs"
        " WHERE status = 'COMPLETED' AND (exit_code IS NOT 0 OR error_code IS NOT NULL)"
        " OR status = 'SKIPPED' AND (exit_code IS NULL OR error_code IS NOT NULL)"
        " OR status = 'FAILED' AND error_code IS NULL"
    ):
        yield f"{run_id} is {status} with exit status {exit_code} and error {error}"


def collected_after_the_end(connection: apsw.Connection) -> Iterator[str]:
    """Artifacts are collected of a run that has ended; a complete collection has all checksums."""
    for run_id, status in connection.execute(
        "SELECT run_id, status FROM job_runs INDEXED BY job_runs_collecting"
        " WHERE collecting <> 0 AND status = 'RUNNING'"
    ):
        yield f"{run_id} is {status}, and its artifacts are being collected"
    for run_id, name in connection.execute(
        "SELECT run_id, entry.value ->> 'name' FROM job_runs, json_each(artifacts) AS entry"
        " WHERE artifacts <> '[]' AND collecting = 0 AND collection_reason IS NULL"
        " AND (entry.value ->> 'sha256' IS NULL OR entry.value ->> 'kept' IS 0)"
    ):
        yield f"{run_id} has collected all, but not {name}"


CHECKS: Checks = {
    "SameStatus": (same_status,),
    "NoPhantom": (runs_started,),
    "TerminalFinal": (times_in_order,),
    "CancelBeforeStart": (cancelled_as_asked,),
    "UnknownNotSuccess": (unknown_not_success,),
    "Collected": (collected_after_the_end,),
}
