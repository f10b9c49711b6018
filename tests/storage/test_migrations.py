"""Databases of earlier versions are migrated, and keep their meaning."""

import json
from collections.abc import Callable
from typing import Any

import apsw
import pytest

from storage.database import configure, migrate, migrations
from storage.events import events_after
from storage.jobs import next_eligible, promote_due
from storage.scheduler import queue_counts
from storage.transaction import write_transaction
from storage.verify.invariants import verify

NOW = 1_800_000_000_000_000
LATER = NOW + 100_000_000


def at_schema(number: int) -> apsw.Connection:
    """A database in memory as the migrations up to this one leave it."""
    connection = apsw.Connection(":memory:")
    configure(connection)
    for known, sql in migrations():
        if known <= number:
            connection.execute(f"{sql}; PRAGMA user_version = {known}").fetchall()
    return connection


def emit(connection: apsw.Connection, kind: str, job_id: str | None, **data: Any) -> None:
    """An event as a headway before 0009 wrote it."""
    connection.execute(
        "INSERT INTO events (seq, at, kind, job_id, data)"
        " SELECT coalesce(max(seq), 0) + 1, ?, ?, ?, ? FROM events",
        (NOW, kind, job_id, json.dumps(data)),
    )


def submit(connection: apsw.Connection, job_id: str, *, run_at: int | None, priority: int) -> None:
    """A Job as a headway before 0009 queued it."""
    deferred = run_at is not None
    connection.execute(
        "INSERT INTO jobs (job_id, type, status, params, priority, deferred, labels, run_at,"
        " origin, created_at, version)"
        " VALUES (?, 'a', 'QUEUED', '{}', ?, ?, '{}', ?, 'api', ?, 1)",
        (job_id, priority, deferred, run_at, NOW),
    )
    position = connection.last_insert_rowid()
    fields = {"type": "a", "priority": priority, "position": position, "run_at": run_at}
    emit(connection, "job.submitted", job_id, **fields, deferred=deferred, origin="api")


@pytest.fixture
def before_hold() -> apsw.Connection:
    """Jobs that wait, for a slot and for their time, and one that was cancelled before its time."""
    connection = at_schema(8)
    limits = {"concurrency": 1, "types": {"a": None}}
    emit(connection, "server.started", None, server_id="srv-1", **limits)
    submit(connection, "job-now", run_at=None, priority=1)
    submit(connection, "job-later", run_at=LATER, priority=9)
    submit(connection, "job-never", run_at=LATER, priority=9)
    connection.execute(
        "UPDATE jobs SET status = 'CANCELLED', finished_at = ? WHERE job_id = 'job-never'", (NOW,)
    )
    emit(connection, "job.cancelled", "job-never", type="a")
    return connection


def test_what_waited_for_its_time_is_held_by_it(before_hold: apsw.Connection) -> None:
    migrate(before_hold)
    rows = before_hold.execute("SELECT job_id, hold FROM jobs ORDER BY position").fetchall()
    assert rows == [("job-now", "none"), ("job-later", "time"), ("job-never", "none")]
    counts = queue_counts(before_hold, {"a"})
    assert (counts.eligible, counts.deferred) == (1, 1)


def test_what_was_held_starts_in_its_turn(before_hold: apsw.Connection) -> None:
    migrate(before_hold)
    with write_transaction(before_hold, NOW) as tx:
        promote_due(tx)
        assert (job := next_eligible(tx, ["a"])) is not None
        assert job.job_id == "job-now"
    with write_transaction(before_hold, LATER) as tx:
        promote_due(tx)
        assert (job := next_eligible(tx, ["a"])) is not None
        assert job.job_id == "job-later"


@pytest.mark.parametrize("name", ["StatsRecount", "EventsAtomic", "HeldWhileQueued", "Sound"])
def test_old_events_lead_to_the_migrated_rows(before_hold: apsw.Connection, name: str) -> None:
    migrate(before_hold)
    assert [f.breaches for f in verify(before_hold) if f.name == name] == [()]


def test_the_system_caused_what_was_there(before_hold: apsw.Connection) -> None:
    migrate(before_hold)
    events = events_after(before_hold, 0, limit=10)
    assert {event.actor for event in events} == {"system"}
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]


def test_a_migrated_database_has_the_schema_of_a_new_one(
    before_hold: apsw.Connection, fresh: Callable[[], apsw.Connection]
) -> None:
    migrate(before_hold)

    def schema(connection: apsw.Connection) -> set[tuple[Any, ...]]:
        found = connection.execute("SELECT type, name, tbl_name FROM sqlite_schema")
        return {tuple(row) for row in found}

    assert schema(before_hold) == schema(fresh())
