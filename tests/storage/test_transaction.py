"""One transaction: one moment, events without a gap, and savepoints that include their events."""

import json
from typing import Any

import apsw
import pytest

from storage.events import events_after
from storage.transaction import Transaction


def numbers(connection: apsw.Connection) -> list[int]:
    return [seq for (seq,) in connection.execute("SELECT seq FROM events ORDER BY seq")]


def test_events_number_from_one(connection: apsw.Connection, write: Any, now: int) -> None:
    with write() as tx:
        tx.emit("scheduler.started")
        tx.emit("job.submitted", job_id="job-1", run_id="run-1", type="story")
    assert [event.seq for event in tx.events] == numbers(connection) == [1, 2]
    last = tx.events[1]
    assert (last.at, last.kind, last.job_id, last.run_id) == (
        now,
        "job.submitted",
        "job-1",
        "run-1",
    )
    assert json.loads(last.data) == {"type": "story"}


def test_an_event_has_the_actor_of_its_transaction(write: Any) -> None:
    with write() as tx:
        tx.emit("scheduler.started")
        tx.actor = "key-1"
        tx.emit("scheduler.stopped")
    assert [event.actor for event in tx.events] == ["system", "key-1"]
    assert events_after(tx.connection, 0, limit=9) == tx.events


def test_the_next_transaction_goes_on_where_the_last_one_ended(
    connection: apsw.Connection, write: Any
) -> None:
    for _ in range(3):
        with write() as tx:
            tx.emit("scheduler.started")
    assert numbers(connection) == [1, 2, 3]


def test_a_savepoint_takes_its_events_along(connection: apsw.Connection, write: Any) -> None:
    with write() as tx:
        tx.emit("scheduler.started")
        with pytest.raises(ZeroDivisionError), tx.savepoint():  # noqa: PT012 - what comes before the error is taken back
            tx.emit("job.due", job_id="job-1")
            tx.execute("UPDATE scheduler SET running = 0")
            _ = 1 / 0
        with tx.savepoint():
            tx.emit("scheduler.stopped")
    assert [(event.seq, event.kind) for event in tx.events] == [
        (1, "scheduler.started"),
        (2, "scheduler.stopped"),
    ]
    assert numbers(connection) == [1, 2]
    assert connection.execute("SELECT running FROM scheduler").get == 1


def test_a_savepoint_in_a_transaction_that_sqlite_has_ended(connection: apsw.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    tx = Transaction(connection, 1)
    with pytest.raises(apsw.FullError), tx.savepoint():  # noqa: PT012 - what comes before the error is taken back
        tx.emit("job.due", job_id="job-1")
        connection.execute("ROLLBACK")
        raise apsw.FullError("database or disk is full")
    assert tx.events == []
    assert numbers(connection) == []


def test_a_full_disk_in_a_savepoint_leaves_nothing(connection: apsw.Connection, write: Any) -> None:
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages)
    with pytest.raises(apsw.FullError), write() as tx, tx.savepoint():  # noqa: PT012 - what comes before the error is taken back
        for _ in range(100):
            tx.emit("job.due", job_id="job-1", text="x" * 10_000)
    assert numbers(connection) == []
    assert not connection.in_transaction
