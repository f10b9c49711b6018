"""A whole database breaks nothing; doctored in one place, the invariant of that place is named."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from headway.model.field import from_us
from headway.model.job import JobStatus
from headway.model.run import RunStatus
from storage import idempotency, reservations
from storage.database import open_reader, open_writer
from storage.jobs import cancel_queued, move, skip_queued
from storage.runs import Outcome, finish_run, note_process, request_stop
from storage.verify.invariants import BREACHES_SHOWN_MAX, CHECKS, verify
from storage.verify.replay import NAMES

S = 1_000_000
LIMITS = {"story": None, "other": 1}


def begin(tx: Any, life: str) -> None:
    tx.emit("server.started", server_id=life, concurrency=3, types=LIMITS)


@pytest.fixture
def whole(
    path: Path, write: Any, put: Callable[..., Any], intend: Callable[..., Any], now: int
) -> Iterator[apsw.Connection]:
    """All that can be in a database: Jobs in every status, runs in every lane, reservations."""

    def run(tx: Any, job_id: str, **fields: Any) -> None:
        move(tx, job_id, JobStatus.QUEUED, JobStatus.RUNNING)
        intend(tx, f"run-of-{job_id}", job_id=job_id, **fields)

    def end(tx: Any, job_id: str, outcome: Outcome) -> None:
        finish = finish_run(tx, f"run-of-{job_id}", outcome)
        assert finish is not None
        move(
            tx,
            job_id,
            JobStatus.RUNNING,
            JobStatus(outcome.status.value),
            finished_at=finish.finished_at,
            duration_us=finish.duration_us,
        )

    with write() as tx:
        begin(tx, "srv-1")
        for name in ("done", "cancelled", "ended", "skipped"):
            put(tx, name)
        put(tx, "first", priority=5, type="other")
        put(tx, "runs", labels={"a": "b"}, name="a name")
        put(tx, "later", run_at=from_us(now + 100 * S), expires_at=from_us(now + 200 * S))
        cancel_queued(tx, "cancelled")
        skip_queued(tx, "skipped", "it expired")
        run(tx, "first", type="other")
        run(tx, "done")
        run(tx, "ended")
        note_process(tx, "run-of-done", 17, 5)
    with write() as tx:
        end(tx, "done", Outcome(status=RunStatus.COMPLETED, exit_code=0))
        request_stop(tx, "run-of-ended", "cancel")
        end(tx, "ended", Outcome(status=RunStatus.CANCELLED, exit_code=143))
        for name in ("rsv-1", "rsv-2"):
            reservations.insert_direct(
                tx, name, run_id=f"run-of-{name}", type="story", params={}, server_id="srv-1"
            )
        reservations.end(tx, "rsv-1", "started")
        intend(tx, "run-of-rsv-1", lane="direct")
        begin(tx, "srv-2")
        reservations.end(tx, "rsv-2", "the server restarted")
        reservations.insert_hold(tx, "rsv-3", ttl_s=30, server_id="srv-2")
        reservations.hold(tx, "rsv-3")
    with write() as tx:
        reservations.end(tx, "rsv-3", "released")
        run(tx, "runs", server_id="srv-2")
        put(tx, "last")
        reservations.insert_hold(tx, "rsv-4", ttl_s=30, server_id="srv-2")
        idempotency.keep(tx, idempotency.Key(key="one", request=b"1"), b"{}", "/jobs/last")
        body = json.dumps({"jobs": [{"job_id": "done"}, {"job_id": "last"}]}).encode()
        idempotency.keep(tx, idempotency.Key(key="many", request=b"1"), body, None)
    with closing(open_writer(path)) as connection:
        connection.pragma("foreign_keys", False)
        yield connection


def broken(connection: apsw.Connection) -> dict[str, tuple[str, ...]]:
    return {finding.name: finding.breaches for finding in verify(connection) if finding.breaches}


def event(kind: str, job_id: str | None = None, run_id: str | None = None, **data: Any) -> str:
    """SQL that appends an event."""
    ids = ", ".join("NULL" if name is None else f"'{name}'" for name in (job_id, run_id))
    return (
        "INSERT INTO events (seq, at, kind, job_id, run_id, data) SELECT max(seq) + 1, max(at),"
        f" '{kind}', {ids}, '{json.dumps(data)}' FROM events"
    )


def test_a_whole_database_breaks_nothing(whole: apsw.Connection) -> None:
    assert broken(whole) == {}
    assert {finding.name for finding in verify(whole)} == {*CHECKS, *NAMES, "AckDurable"}


STARTED = {"type": "story", "lane": "queue", "waited_s": 0}
OVER = {"type": "story", "lane": "queue", "status": "FAILED", "error": "signal"}
TIMES = {"waited_s": 0, "duration_s": 0}
NEW = {"type": "story", "priority": 0, "run_at": None, "hold": "none", "origin": "api"}

DOCTORED: list[tuple[str, tuple[str, ...]]] = [
    # The tables by themselves.
    ("Sound", ("UPDATE job_runs SET job_id = 'nobody' WHERE job_id = 'done'",)),
    ("Sound", ("INSERT INTO job_labels VALUES ('a=b', 999)",)),
    ("OneRun", ("DELETE FROM job_runs WHERE job_id = 'done'",)),
    ("OneRun", ("UPDATE jobs SET started_at = NULL WHERE job_id = 'done'",)),
    ("SameStatus", ("UPDATE jobs SET status = 'FAILED' WHERE job_id = 'done'",)),
    ("TerminalFinal", ("UPDATE jobs SET finished_at = NULL WHERE job_id = 'done'",)),
    ("TerminalFinal", ("UPDATE jobs SET finished_at = 1 WHERE job_id = 'last'",)),
    ("TerminalFinal", ("UPDATE job_runs SET finished_at = NULL WHERE job_id = 'done'",)),
    ("TerminalFinal", ("UPDATE jobs SET finished_at = started_at - 1 WHERE job_id = 'done'",)),
    ("TerminalFinal", ("UPDATE jobs SET finished_at = finished_at + 1 WHERE job_id = 'done'",)),
    ("TerminalFinal", ("UPDATE job_runs SET duration_us = 7 WHERE job_id = 'done'",)),
    ("CancelBeforeStart", ("UPDATE job_runs SET stop_reason = 'cancel', exit_code = NULL"
                           " WHERE job_id = 'done'",)),
    ("CancelBeforeStart", ("UPDATE job_runs SET stop_reason = NULL WHERE job_id = 'ended'",)),
    ("Collected", ("UPDATE job_runs SET collecting = 1 WHERE job_id = 'runs'",)),
    ("Collected", ('UPDATE job_runs SET artifacts = \'[{"name": "a", "kept": false}]\''
                   " WHERE job_id = 'done'",)),
    ("Collected", ('UPDATE job_runs SET artifacts = \'[{"name": "a", "sha256": null}]\''
                   " WHERE job_id = 'done'",)),
    ("ReservationOrder", ("UPDATE reservations SET ended_at = 1 WHERE reservation_id = 'rsv-4'",)),
    ("UnknownNotSuccess", ("UPDATE job_runs SET exit_code = NULL WHERE job_id = 'done'",)),
    ("UnknownNotSuccess", ("UPDATE job_runs SET exit_code = 1 WHERE job_id = 'done'",)),
    ("UnknownNotSuccess", ("UPDATE job_runs SET error_code = 'signal' WHERE job_id = 'done'",)),
    ("StatsRecount", ("UPDATE run_counts SET n = n + 1",)),
    ("StatsRecount", ("UPDATE job_counts SET n = n - 1 WHERE status = 'QUEUED'",)),
    ("HistoryRecount", ("DELETE FROM history",)),
    ("Bounded", ("UPDATE jobs SET name = hex(zeroblob(101)) WHERE job_id = 'last'",)),
    ("Bounded", ("UPDATE jobs SET expires_at = -1 WHERE job_id = 'last'",)),
    ("Bounded", ("UPDATE jobs SET labels = 'nothing' WHERE job_id = 'runs'",)),
    ("IdemReplay", ("UPDATE idempotency SET location = '/jobs/none' WHERE key = 'one'",)),
    ("IdemReplay", ("UPDATE idempotency SET"
                    " response = CAST(replace(response, 'last', 'none') AS BLOB)"
                    " WHERE key = 'many'",)),
    # The events and the tables.
    ("AckDurable", ("DELETE FROM jobs WHERE job_id = 'last'",)),
    ("AckDurable", ("DELETE FROM jobs WHERE job_id = 'cancelled'",)),
    ("AckDurable", ("DELETE FROM job_runs WHERE run_id = 'run-of-rsv-1'",)),
    ("NoPhantom", ("INSERT INTO jobs (job_id, type, status, params, priority, hold, labels,"
                   " origin, created_at, version)"
                   " VALUES ('new', 'story', 'QUEUED', '{}', 0, 'none', '{}', 'api', 1, 1)",)),
    ("NoPhantom", ("UPDATE job_runs SET run_id = 'run-new' WHERE run_id = 'run-of-rsv-1'",)),
    ("NoPhantom", ("UPDATE job_runs SET run_id = 'run-new' WHERE job_id = 'done'",)),
    ("EventsAtomic", ("UPDATE jobs SET priority = 7 WHERE job_id = 'last'",)),
    ("EventsAtomic", ("UPDATE jobs SET hold = 'none' WHERE job_id = 'later'",)),
    ("HeldWhileQueued", ("UPDATE jobs SET hold = 'time' WHERE job_id = 'done'",)),
    ("HeldWhileQueued", ("UPDATE jobs SET hold = 'time' WHERE job_id = 'last'",)),
    ("HeldWhileQueued", ("UPDATE jobs SET hold = 'nothing' WHERE job_id = 'last'",)),
    ("EventsAtomic", ("UPDATE jobs SET status = 'SKIPPED' WHERE job_id = 'cancelled'",)),
    ("EventsAtomic", ("UPDATE reservations SET state = 'HELD', held_at = 1, expires_at = 2"
                     " WHERE reservation_id = 'rsv-4'",)),
    ("EventsAtomic", ("DELETE FROM events WHERE kind = 'run.process'",)),
    ("EventsAtomic", ("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)",)),
    ("EventsAtomic", ("UPDATE events SET actor = '' WHERE kind = 'run.finished'",)),
    ("EventsAtomic", ("UPDATE events SET data = 'no JSON' WHERE kind = 'run.finished'",)),
    ("EventsAtomic", ("UPDATE events SET data = '{}' WHERE kind = 'server.started'",)),
    ("StablePaging", ("UPDATE jobs SET position = 900 WHERE job_id = 'last'",)),
    ("SingleWriter", ("UPDATE job_runs SET server_id = 'srv-1' WHERE job_id = 'runs'",)),
    # The events by themselves.
    ("OneRun", (event("run.started", "runs", "run-of-runs", **STARTED),)),
    ("OneRun", (event("run.started", "done", "run-of-done", **STARTED),)),
    ("LegalPath", (event("job.due", "runs"),)),
    ("LegalPath", (event("job.submitted", "last", None, **NEW, position=99),)),
    ("TerminalFinal", (event("job.cancelled", "done"),)),
    ("TerminalFinal", (event("run.finished", "done", "run-of-done", **OVER, **TIMES),)),
    ("TerminalFinal", (event("run.process", None, "run-of-done", pid=1),)),
    ("CancelBeforeStart", (event("run.started", "cancelled", "run-new", **STARTED),)),
    ("DispatchOrder", (event("run.started", "later", "run-new", **STARTED),)),
    ("Limit", (event("server.started", server_id="srv-2", concurrency=1, types=LIMITS),
               event("run.started", "last", "run-new", **STARTED))),
    ("ReservationOrder", (event("run.started", "last", "run-new", **STARTED),)),
    ("ReservationOrder", (event("reservation.ended", reservation_id="rsv-3", reason="released"),)),
    ("IntentFirst", (event("run.process", None, "run-new", pid=1),)),
    ("RecoveryIdempotent", (
        event("reservation.requested", None, "run-new", reservation_id="rsv-5", claim="direct"),
        event("server.started", server_id="srv-3", concurrency=3, types=LIMITS),
        event("reservation.ended", None, "run-new", reservation_id="rsv-5", reason="started"),
    )),
    ("SingleWriter", (
        event("server.started", server_id="srv-1", concurrency=3, types=LIMITS),)),
    ("StablePaging", (event("job.submitted", "new", None, **NEW, position=1),)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "statements"), DOCTORED)
def test_what_is_broken_is_named(
    whole: apsw.Connection, name: str, statements: tuple[str, ...]
) -> None:
    for statement in statements:
        whole.execute(statement)
        assert whole.changes()
    assert name in broken(whole)


def test_every_invariant_has_been_broken_here() -> None:
    assert {name for name, _ in DOCTORED} == {*CHECKS, *NAMES, "AckDurable"}


def test_many_breaches_are_not_all_shown(whole: apsw.Connection) -> None:
    for n in range(300):
        whole.execute(event("run.process", None, f"run-{n}", pid=1))
    assert len(broken(whole)["IntentFirst"]) == BREACHES_SHOWN_MAX


def test_it_only_reads(whole: apsw.Connection, path: Path) -> None:
    whole.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = path.read_bytes()
    with closing(open_reader(path)) as reader:
        verify(reader)
    assert path.read_bytes() == before


def test_pages_that_cannot_be_read_are_found(whole: apsw.Connection, path: Path) -> None:
    root = whole.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").get
    whole.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    with closing(open_reader(path)) as reader:
        found = broken(reader)["Sound"]
    assert f"Tree {root}" in found[0]
    assert found[-1].startswith("the events cannot be read")
