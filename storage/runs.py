"""JobRuns in SQL: what is known of them while they run, and how they ended.

Invariant: a row with status RUNNING is committed before any process of the run exists, and is
finished exactly once.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import apsw
from pydantic_core import from_json, to_json

from headway.model.artifact import Artifact, Collection
from headway.model.field import from_us
from headway.model.job import Progress
from headway.model.problem import Refusal
from headway.model.run import JobRun, Left, LogSummary, RunError, RunStatus, StopReason
from storage.transaction import Transaction

DURATION_US = "coalesce(duration_us, finished_at - started_at)"
"""Runs of earlier versions have no measured duration."""
COLUMNS = (
    f"run_id, job_id, type, status, params_snapshot, argv, pid, started_at, finished_at,"
    f" {DURATION_US}, exit_code, signal, error_code, error_message, result, artifacts, log_bytes,"
    " log_truncated, left_processes, left_killed, collecting, collection_reason"
)


TOO_MUCH_OUTPUT = RunError(code="output_limit", message="it wrote more output than its type allows")
TOO_MUCH_LEFT = RunError(
    code="output_limit", message="it left more artifacts or reports than its type allows"
)
NOT_COUNTED = RunError(
    code="output_limit",
    message="its artifacts could not be counted in time, and its type allows only so many",
)
RESULT_IN_EVENT_CHARACTERS_MAX = 4096
NO_LOG = LogSummary(bytes=0, truncated=False)
NOTHING_LEFT = Left(processes=0, killed=0)


Collecting = Literal["done", "unlisted", "listed"]
"""What was done about the artifacts of a run: all of it, nothing yet, or only listed."""
COLLECTING: tuple[Collecting, ...] = get_args(Collecting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended, in the words of the contract. `result` is JSON text or None.

    `progress` is the last that a Job's program reported. `finished_at` (µs since 1970) None: now.
    `duration_us` None: from the start to `finished_at`. `collecting`: what of its artifacts is
    still to come. `signalled`: headway had sent its program a signal, so its exit status may be the
    answer to that.
    """

    status: RunStatus
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: RunError | None = None
    result: str | None = None
    progress: Progress | None = None
    artifacts: tuple[Artifact, ...] = ()
    collecting: Collecting = "done"
    collection_reason: str | None = None
    signalled: bool = False
    log: LogSummary = field(default=NO_LOG)
    left: Left = field(default=NOTHING_LEFT)
    finished_at: int | None = None
    duration_us: int | None = None


class Finish(NamedTuple):
    """What has ended: the Job if there is one, when (µs since 1970), and how long it ran."""

    job_id: str | None
    finished_at: int
    duration_us: int


def run_from_row(row: tuple[Any, ...]) -> JobRun:
    """Build a JobRun by position."""
    (
        run_id, job_id, type_, status, params, argv, pid, started_at, finished_at, duration_us,
        exit_code, signal, error_code, error_message, result, artifacts, log_bytes, log_truncated,
        left_processes, left_killed, collecting, collection_reason,
    ) = row  # fmt: skip
    return JobRun.model_construct(
        run_id=run_id,
        job_id=job_id,
        type=type_,
        status=RunStatus(status),
        params_snapshot=from_json(params),
        argv=from_json(argv),
        pid=pid,
        started_at=from_us(started_at),
        finished_at=None if finished_at is None else from_us(finished_at),
        duration_s=None if duration_us is None else duration_us / 1e6,
        exit_code=exit_code,
        signal=signal,
        error=None
        if error_code is None
        else RunError.model_construct(code=error_code, message=error_message),
        result=None if result is None else from_json(result),
        artifacts=[Artifact.model_construct(**entry) for entry in json.loads(artifacts)],
        collection=Collection.model_construct(
            complete=finished_at is not None and collecting == 0 and collection_reason is None,
            reason=collection_reason,
        ),
        log=LogSummary.model_construct(bytes=log_bytes, truncated=bool(log_truncated)),
        left=Left.model_construct(processes=left_processes, killed=left_killed),
    )


def note_process(tx: Transaction, run_id: str, pid: int, began_us: int) -> None:
    """Show the process id of a run that lasts, and when (µs after boot) its program began."""
    row = tx.execute(
        "UPDATE job_runs SET pid = ?1, began_us = ?2 WHERE run_id = ?3 AND status = 'RUNNING'"
        " AND pid IS NOT ?1 RETURNING job_id, type",
        (pid, began_us, run_id),
    ).fetchone()
    if row is not None:
        tx.emit("run.process", job_id=row[0], run_id=run_id, type=row[1], pid=pid)


def request_stop(tx: Transaction, run_id: str, reason: StopReason) -> bool:
    """Store why the run will be ended. False if it has ended, or has a reason already."""
    row = tx.execute(
        "UPDATE job_runs SET stop_reason = ? WHERE run_id = ? AND status = 'RUNNING'"
        " AND stop_reason IS NULL RETURNING job_id, type",
        (reason, run_id),
    ).fetchone()
    if row is None:
        return False
    tx.emit("run.stopping", job_id=row[0], run_id=run_id, type=row[1], reason=reason)
    return True


def what_ends(tx: Transaction, run_id: str) -> tuple[str | None, StopReason | None]:
    """(id of the run's Job, the stored reason to end it)."""
    row = tx.execute(
        "SELECT job_id, stop_reason FROM job_runs WHERE run_id = ?", (run_id,)
    ).fetchone()
    return (None, None) if row is None else row


def finish_run(tx: Transaction, run_id: str, outcome: Outcome) -> Finish | None:
    """RUNNING → its end. None, and nothing changes, if it had ended already: finish once.

    A clock that was set back makes no run end before it began.
    """
    finished_at = tx.now if outcome.finished_at is None else outcome.finished_at
    row = tx.execute(
        "UPDATE job_runs SET status = ?, pid = coalesce(?, pid),"
        " finished_at = max(?, started_at), duration_us = coalesce(?, max(? - started_at, 0)),"
        " exit_code = ?, signal = ?, error_code = ?, error_message = ?, result = ?,"
        " artifacts = ?, log_bytes = ?, log_truncated = ?, left_processes = ?, left_killed = ?"
        " WHERE run_id = ? AND status = 'RUNNING'"
        " RETURNING job_id, type, lane, started_at, eligible_at, finished_at, duration_us",
        (
            outcome.status,
            outcome.pid,
            finished_at,
            outcome.duration_us,
            finished_at,
            outcome.exit_code,
            outcome.signal,
            outcome.error and outcome.error.code,
            outcome.error and outcome.error.message,
            outcome.result,
            artifacts_text(outcome.artifacts),
            outcome.log.bytes,
            outcome.log.truncated,
            outcome.left.processes,
            outcome.left.killed,
            run_id,
        ),
    ).fetchone()
    if row is None:
        return None
    job_id, type_, lane, started_at, eligible_at, finished_at, duration_us = row
    if outcome.collecting != "done" or outcome.collection_reason is not None:
        # Of few runs; the statement above is what each of them costs.
        tx.execute(
            "UPDATE job_runs SET collecting = ?, collection_reason = ? WHERE run_id = ?",
            (COLLECTING.index(outcome.collecting), outcome.collection_reason, run_id),
        )
    tx.emit(
        "run.finished",
        job_id=job_id,
        run_id=run_id,
        type=type_,
        lane=lane,
        status=outcome.status.value,
        error=outcome.error and outcome.error.code,
        has_result=outcome.result is not None,
        result=_small(outcome.result),
        waited_s=(started_at - eligible_at) / 1e6,
        duration_s=duration_us / 1e6,
        finished_at=finished_at,
    )
    return Finish(job_id, finished_at, duration_us)


def artifacts_text(artifacts: tuple[Artifact, ...]) -> str:
    """The JSON text in which artifacts are stored."""
    return to_json(artifacts).decode() if artifacts else "[]"


def _small(result: str | None) -> Any:
    """A result that is short enough for an event; else None: it is read from the run."""
    if result is None or len(result) > RESULT_IN_EVENT_CHARACTERS_MAX:
        return None
    return json.loads(result)


def find_run(connection: apsw.Connection, run_id: str) -> JobRun:
    """The run with this id.

    Raises:
        Refusal: `not_found`.
    """
    row = connection.execute(
        f"SELECT {COLUMNS} FROM job_runs WHERE run_id = ?", (run_id,)
    ).fetchone()
    if row is None:
        raise Refusal("not_found", f"there is no run {run_id}")
    return run_from_row(row)


def is_running(connection: apsw.Connection, run_id: str) -> bool:
    """Whether the run with this id is RUNNING, of which nothing else is read."""
    found = connection.execute("SELECT status FROM job_runs WHERE run_id = ?", (run_id,)).get
    return bool(found == RunStatus.RUNNING)


def run_of_job(connection: apsw.Connection, job_id: str) -> JobRun | None:
    """The single attempt at the Job, if it has been made."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM job_runs WHERE job_id = ?", (job_id,)
    ).fetchone()
    return None if row is None else run_from_row(row)


def run_id_of(connection: apsw.Connection, job_id: str) -> str | None:
    """The id of the single attempt at the Job, if it has been made."""
    found = connection.execute("SELECT run_id FROM job_runs WHERE job_id = ?", (job_id,)).get
    assert found is None or isinstance(found, str)
    return found


def finished_at_of(connection: apsw.Connection, job_id: str) -> int | None:
    """When (µs) the attempt at the Job ended, if there was one and it has."""
    found = connection.execute("SELECT finished_at FROM job_runs WHERE job_id = ?", (job_id,)).get
    assert found is None or isinstance(found, int)
    return found


def running(connection: apsw.Connection) -> list[tuple[str, bool]]:
    """(run id, whether a later server could adopt it) of each RUNNING run."""
    rows = connection.execute(
        "SELECT run_id, adopt FROM job_runs INDEXED BY job_runs_running WHERE status = 'RUNNING'"
    )
    return [(run_id, bool(adopt)) for run_id, adopt in rows]


def count_triggered(connection: apsw.Connection) -> int:
    """How many legacy triggers' programs run, beside the slots."""
    n = connection.execute(
        "SELECT count(*) FROM job_runs INDEXED BY job_runs_running"
        " WHERE status = 'RUNNING' AND lane = 'legacy'"
    ).get
    assert isinstance(n, int)
    return n


def busy_by_type(connection: apsw.Connection) -> dict[str, int]:
    """How many slots each type's runs fill. Legacy runs go beside the slots and fill none."""
    return dict(
        connection.execute(
            "SELECT type, count(*) FROM job_runs INDEXED BY job_runs_running"
            " WHERE status = 'RUNNING'"
            " AND lane IN ('queue', 'direct') GROUP BY type"
        )
    )


def last_runs(connection: apsw.Connection, type_name: str, limit: int) -> apsw.Cursor:
    """(finished_at, status, wait_s, run_s) of the type's last runs, oldest first."""
    return connection.execute(
        "SELECT * FROM (SELECT finished_at, status, (started_at - eligible_at) / 1e6,"
        f" {DURATION_US} / 1e6 FROM job_runs WHERE type = ? AND finished_at IS NOT NULL"
        " ORDER BY finished_at DESC LIMIT ?) ORDER BY finished_at",
        (type_name, limit),
    )
