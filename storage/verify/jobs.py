"""The invariants that the table of Jobs shows."""

from collections.abc import Iterator

import apsw

from headway.model.field import LABELS_MAX, NAME_LENGTH_MAX, TIME_MAX_US
from storage.job_row import HOLDS
from storage.verify.check import Checks


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


def jobs_submitted(connection: apsw.Connection) -> Iterator[str]:
    """Every Job was submitted by an event."""
    for (job_id,) in connection.execute(
        "SELECT job_id FROM jobs WHERE NOT EXISTS (SELECT 1 FROM events"
        " WHERE events.job_id = jobs.job_id AND kind = 'job.submitted')"
    ):
        yield f"{job_id} is there, and was never submitted"


def held_while_queued(connection: apsw.Connection) -> Iterator[str]:
    """Only a QUEUED Job is held, by a known reason; a time that holds it is there."""
    known = ", ".join(f"'{hold}'" for hold in HOLDS)
    for job_id, status, hold in connection.execute(
        f"SELECT job_id, status, hold FROM jobs WHERE hold NOT IN ({known})"
        " OR hold <> 'none' AND status <> 'QUEUED' OR hold = 'time' AND run_at IS NULL"
    ):
        yield f"{job_id} is {status}, and held by {hold}"


def bounded(connection: apsw.Connection) -> Iterator[str]:
    """No Job is larger than the API lets in: its name, labels, times."""
    for (job_id,) in connection.execute(
        "SELECT job_id FROM jobs WHERE length(name) > ?1 OR run_at NOT BETWEEN 0 AND ?3"
        " OR expires_at NOT BETWEEN 0 AND ?3 OR timeout_s <= 0 OR (labels <> '{}'"
        " AND iif(json_valid(labels), (SELECT count(*) FROM json_each(labels)) > ?2, TRUE))",
        (NAME_LENGTH_MAX, LABELS_MAX, TIME_MAX_US),
    ):
        yield f"{job_id} holds more than a request may ask for"


CHECKS: Checks = {
    "OneRun": (one_run,),
    "NoPhantom": (jobs_submitted,),
    "HeldWhileQueued": (held_while_queued,),
    "Bounded": (bounded,),
}
