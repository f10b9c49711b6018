"""Bring a Job into a status."""

import apsw

from headway.model.job import JobStatus
from storage import jobs
from storage.transaction import write_transaction

Q, R = JobStatus.QUEUED, JobStatus.RUNNING


def force(connection: apsw.Connection, job_id: str, status: JobStatus) -> None:
    """Into a status by the shortest legal way."""
    with write_transaction(connection, 1) as tx:
        if status not in (Q, R):
            jobs.move(tx, job_id, Q, R)
            jobs.move(tx, job_id, R, status)
        elif status is R:
            jobs.move(tx, job_id, Q, R)
