"""Jobs in SQL: insert, find, claim, change, end. How they are listed is in `job_list.py`.

Queries that run in every batch name their index: without statistics SQLite prefers the one over all
statuses, and would walk the whole queue; INDEXED BY makes that an error instead of a slow answer.

Invariant: every status change names the status it leaves in its WHERE clause and checks that one
row changed, so a transition that `TRANSITIONS` does not allow cannot be written.
"""

from collections.abc import Sequence

import apsw
from pydantic_core import to_json

from headway.model.field import to_us
from headway.model.job import TERMINAL, TRANSITIONS, Job, JobPatch, JobStatus, NewJob, Progress
from headway.model.problem import Refusal
from storage.job_row import (
    COLUMNS,
    HOLD,
    INSERT,
    NOT_DUE,
    RUN_AT,
    STARTABLE,
    hold_of,
    job_from_new,
    job_from_row,
    new_row,
)
from storage.transaction import Transaction


def insert_jobs(
    tx: Transaction, new: Sequence[tuple[str, NewJob]], *, origin: str, retry_of: str | None = None
) -> int:
    """Queue Jobs, each with its id, that their types have accepted; `params` hold their defaults.

    Returns the position of the first; the others follow it one by one.
    """
    rows = [new_row(tx.now, job_id, job, origin, retry_of) for job_id, job in new]
    tx.connection.executemany(INSERT, rows)
    first: int = tx.connection.last_insert_rowid() - len(rows) + 1
    for position, ((job_id, job), row) in enumerate(zip(new, rows, strict=True), first):
        if job.labels:
            _write_labels(tx, position, job.labels)
        tx.emit(
            "job.submitted",
            job_id=job_id,
            type=job.type,
            priority=job.priority,
            position=position,
            run_at=row[RUN_AT],
            hold=row[HOLD],
            origin=origin,
        )
    return first


def insert_job(
    tx: Transaction, job_id: str, new: NewJob, *, origin: str, retry_of: str | None = None
) -> Job:
    """Queue one Job: see `insert_jobs`."""
    position = insert_jobs(tx, [(job_id, new)], origin=origin, retry_of=retry_of)
    return job_from_new(tx.now, position, job_id, new, origin=origin, retry_of=retry_of)


def find_job(connection: apsw.Connection, job_id: str) -> Job:
    """The Job with this id.

    Raises:
        Refusal: `not_found`.
    """
    row = connection.execute(f"SELECT {COLUMNS} FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise _not_found(job_id)
    return job_from_row(row)


def status_of(connection: apsw.Connection, job_id: str) -> JobStatus:
    """The status alone, for repeated reads of a Job whose params may be large.

    Raises:
        Refusal: `not_found`.
    """
    found = connection.execute("SELECT status FROM jobs WHERE job_id = ?", (job_id,)).get
    if found is None:
        raise _not_found(job_id)
    return JobStatus(found)


def _not_found(job_id: str) -> Refusal:
    return Refusal("not_found", f"there is no Job {job_id}: GET /jobs lists those that exist")


def params_bytes(connection: apsw.Connection, job_id: str) -> int:
    """The size of the Job's params in bytes; 0 if there is no such Job."""
    sql = "SELECT octet_length(params) FROM jobs WHERE job_id = ?"
    return int(connection.execute(sql, (job_id,)).get or 0)


def next_eligible(tx: Transaction, types: Sequence[str]) -> Job | None:
    """The first of the queue among `types`: highest priority, then earliest position.

    One step down the index per type, so a long queue of a type that is at its limit costs nothing.
    """
    best: tuple[int, int] | None = None
    for type_ in types:
        head = tx.execute(
            "SELECT -priority, position FROM jobs INDEXED BY jobs_eligible"
            f" WHERE {STARTABLE} AND type = ?"
            " ORDER BY type, priority DESC, position LIMIT 1",
            (type_,),
        ).fetchone()
        if head is not None and (best is None or head < best):
            best = head
    if best is None:
        return None
    return job_from_row(
        tx.execute(f"SELECT {COLUMNS} FROM jobs WHERE position = ?", (best[1],)).fetchone()
    )


def move(
    tx: Transaction,
    job_id: str,
    before: JobStatus,
    after: JobStatus,
    *,
    reason: str | None = None,
    finished_at: int | None = None,
    duration_us: int | None = None,
) -> str:
    """Take the Job from `before` to `after`; exactly one row must agree that it was in `before`.

    `finished_at` and `duration_us` are its run's; else it ends now. Returns its type.
    """
    assert after in TRANSITIONS[before], f"{before} -> {after} is not in the table of transitions"
    ended_at = tx.now if finished_at is None else finished_at
    row = tx.execute(
        "UPDATE jobs SET status = ?, hold = 'none', version = version + 1,"
        " reason = coalesce(?, reason), started_at = iif(?, ?, started_at),"
        " finished_at = ?, duration_us = ?"
        " WHERE job_id = ? AND status = ? RETURNING type",
        (
            after,
            reason,
            after is JobStatus.RUNNING,
            tx.now,
            ended_at if after in TERMINAL else None,
            duration_us,
            job_id,
            before,
        ),
    ).fetchone()
    assert row is not None, f"{job_id} was not {before}"
    return str(row[0])


def cancel_queued(tx: Transaction, job_id: str) -> None:
    """QUEUED → CANCELLED: no process will ever exist for it."""
    type_ = move(tx, job_id, JobStatus.QUEUED, JobStatus.CANCELLED)
    tx.emit("job.cancelled", job_id=job_id, type=type_)


def skip_queued(tx: Transaction, job_id: str, reason: str) -> None:
    """QUEUED → SKIPPED, with the reason."""
    type_ = move(tx, job_id, JobStatus.QUEUED, JobStatus.SKIPPED, reason=reason)
    tx.emit("job.skipped", job_id=job_id, type=type_, reason=reason)


def patch_job(tx: Transaction, job: Job, patch: JobPatch) -> Job:
    """Change what `patch` sets. The caller has seen that the Job is QUEUED; SQL checks again."""
    changed = patch.model_fields_set
    new = {name: getattr(patch if name in changed else job, name) for name in JobPatch.model_fields}
    run_at = None if new["run_at"] is None else to_us(new["run_at"])
    hold = hold_of(run_at, tx.now)
    tx.execute(
        "UPDATE jobs SET priority = ?, run_at = ?, hold = ?, name = ?, labels = ?,"
        " version = version + 1 WHERE job_id = ? AND status = 'QUEUED'",
        (
            new["priority"],
            run_at,
            hold,
            new["name"],
            to_json(new["labels"]).decode(),
            job.job_id,
        ),
    )
    assert tx.connection.changes() == 1, f"{job.job_id} was not QUEUED"
    if "labels" in changed:
        tx.execute("DELETE FROM job_labels WHERE position = ?", (job.position,))
        _write_labels(tx, job.position, new["labels"])
    tx.emit(
        "job.updated",
        job_id=job.job_id,
        type=job.type,
        priority=new["priority"],
        run_at=run_at,
        hold=hold,
        fields=sorted(changed),
    )
    return find_job(tx.connection, job.job_id)


def write_progress(tx: Transaction, job_id: str, progress: Progress) -> None:
    """Store the last report of a running program, if it is not stored already."""
    row = tx.execute(
        "UPDATE jobs SET progress = ?1, version = version + 1 WHERE job_id = ?2"
        " AND status = 'RUNNING' AND progress IS NOT ?1 RETURNING type",
        (to_json(progress).decode(), job_id),
    ).fetchone()
    # Ignore progress reported after the run finished.
    if row is not None:
        tx.emit("job.progress", job_id=job_id, type=row[0], **progress.model_dump())


def promote_due(tx: Transaction) -> None:
    """Make Jobs eligible whose `run_at` has come: all, since the last may be the most urgent."""
    due = tx.execute(
        "SELECT position, job_id, type FROM jobs INDEXED BY jobs_run_at"
        f" WHERE {NOT_DUE} AND run_at <= ? ORDER BY run_at",
        (tx.now,),
    ).fetchall()
    for position, job_id, type_ in due:
        tx.execute("UPDATE jobs SET hold = 'none' WHERE position = ?", (position,))
        tx.emit("job.due", job_id=job_id, type=type_)


def skip_expired(tx: Transaction) -> None:
    """Skip Jobs whose `expires_at` has come before a slot did: all, so that none can start."""
    expired = tx.execute(
        "SELECT job_id FROM jobs INDEXED BY jobs_expires_at"
        " WHERE status = 'QUEUED' AND expires_at IS NOT NULL"
        " AND expires_at <= ? ORDER BY expires_at",
        (tx.now,),
    ).fetchall()
    for (job_id,) in expired:
        skip_queued(tx, job_id, "it expired before it could start")


def next_due(connection: apsw.Connection) -> int | None:
    """When (µs) the next `run_at` or `expires_at` of a QUEUED Job comes; None if there is none."""
    moments = (
        connection.execute(
            f"SELECT min(run_at) FROM jobs INDEXED BY jobs_run_at WHERE {NOT_DUE}"
        ).get,
        connection.execute(
            "SELECT min(expires_at) FROM jobs INDEXED BY jobs_expires_at"
            " WHERE status = 'QUEUED' AND expires_at IS NOT NULL"
        ).get,
    )
    return min((moment for moment in moments if moment is not None), default=None)


def _write_labels(tx: Transaction, position: int, labels: dict[str, str]) -> None:
    for key, value in labels.items():
        tx.execute("INSERT INTO job_labels VALUES (?, ?)", (f"{key}={value}", position))
