"""How a Job stands in its row: which columns are read, and what is made of them by position."""

from typing import Any

from pydantic_core import from_json

from headway.model.field import from_us
from headway.model.job import Job, JobStatus, Progress

COLUMNS = (
    "position, job_id, type, status, params, priority, name, labels, run_at, expires_at, timeout_s,"
    " retry_of, origin, created_at, started_at, finished_at,"
    " coalesce(duration_us, finished_at - started_at), progress, reason, version"
)


def job_from_row(row: tuple[Any, ...]) -> Job:
    """Build a Job by position (a row factory costs four times as much)."""
    (
        position, job_id, type_, status, params, priority, name, labels, run_at, expires_at,
        timeout_s, retry_of, origin, created_at, started_at, finished_at, duration_us, progress,
        reason, version,
    ) = row  # fmt: skip
    return Job.model_construct(
        job_id=job_id,
        type=type_,
        status=JobStatus(status),
        params=from_json(params),
        priority=priority,
        position=position,
        name=name,
        labels=from_json(labels) if labels != "{}" else {},
        run_at=None if run_at is None else from_us(run_at),
        expires_at=None if expires_at is None else from_us(expires_at),
        timeout_s=timeout_s,
        retry_of=retry_of,
        origin=origin,
        created_at=from_us(created_at),
        started_at=None if started_at is None else from_us(started_at),
        finished_at=None if finished_at is None else from_us(finished_at),
        duration_s=None if duration_us is None else duration_us / 1e6,
        progress=None if progress is None else Progress.model_construct(**from_json(progress)),
        reason=reason,
        version=version,
    )
