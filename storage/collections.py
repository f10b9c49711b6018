"""Collection of a run's artifacts after its end: what is known, and what is still to come.

Invariant: what is to come is on disk until it has come, so it is gone on with after any crash.
"""

import json
from dataclasses import dataclass

import apsw

from headway.model.artifact import Artifact
from storage.runs import COLLECTING, artifacts_text
from storage.transaction import Transaction

_COLUMNS = "SELECT run_id, type, collecting, artifacts, collection_reason FROM job_runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A run that has ended, of whose artifacts something is still to come.

    Not `listed`: all of it. Else what is beyond the limits is still to be removed, of which
    `not_kept` is shown, and checksums are to be added. `reason`: why it will not be complete.
    """

    run_id: str
    type: str
    listed: bool
    not_kept: tuple[Artifact, ...] = ()
    reason: str | None = None


def note_collection(
    tx: Transaction,
    run_id: str,
    *,
    artifacts: tuple[Artifact, ...] | None,
    reason: str | None,
    more: bool,
) -> bool:
    """Store what is known of the artifacts by now; `artifacts` None: their list is as before.

    False, and nothing changes: nothing was to come.
    """
    text = None if artifacts is None else artifacts_text(artifacts)
    row = tx.execute(
        "UPDATE job_runs SET artifacts = coalesce(?, artifacts), collection_reason = ?,"
        " collecting = ? WHERE run_id = ? AND collecting <> 0 AND status <> 'RUNNING'"
        " RETURNING job_id, type, artifacts",
        (text, reason, COLLECTING.index("listed" if more else "done"), run_id),
    ).fetchone()
    if row is None:
        return False
    job_id, type_, text = row
    if artifacts is None:
        artifacts = tuple(Artifact(**one) for one in json.loads(text))
    kept = [one for one in artifacts if one.kept]
    tx.emit(
        "run.collected",
        job_id=job_id,
        run_id=run_id,
        type=type_,
        artifacts=len(kept),
        size_bytes=sum(one.size_bytes for one in kept),
        complete=not more and reason is None,
        reason=reason,
    )
    return True


def unfinished(connection: apsw.Connection) -> list[Unfinished]:
    """The runs whose artifacts are still being collected, first the one that ended first."""
    rows = connection.execute(
        f"{_COLUMNS} INDEXED BY job_runs_collecting WHERE collecting <> 0"
        " ORDER BY finished_at, run_id"
    )
    return [_from_row(*row) for row in rows]


def unfinished_of(connection: apsw.Connection, run_id: str) -> list[Unfinished]:
    """The run, if its artifacts are still being collected; else nothing."""
    rows = connection.execute(f"{_COLUMNS} WHERE run_id = ? AND collecting <> 0", (run_id,))
    return [_from_row(*row) for row in rows]


def count_unfinished(connection: apsw.Connection) -> int:
    """How many runs have artifacts that are still being collected."""
    sql = "SELECT count(*) FROM job_runs INDEXED BY job_runs_collecting WHERE collecting <> 0"
    count = connection.execute(sql).get
    assert isinstance(count, int)
    return count


def is_unfinished(connection: apsw.Connection, job_id: str) -> bool:
    """Whether something of the Job's artifacts is still to come, now that it has ended."""
    sql = "SELECT 1 FROM job_runs WHERE job_id = ? AND collecting <> 0"
    return connection.execute(sql, (job_id,)).get is not None


def _from_row(
    run_id: str, type_: str, collecting: int, artifacts: str, reason: str | None
) -> Unfinished:
    return Unfinished(
        run_id=run_id,
        type=type_,
        listed=COLLECTING[collecting] == "listed",
        not_kept=tuple(Artifact(**one) for one in json.loads(artifacts) if not one["kept"]),
        reason=reason,
    )
