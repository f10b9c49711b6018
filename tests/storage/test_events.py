"""Reading events back: in order, behind a number, of one Job."""

from collections.abc import Callable
from typing import Any

import apsw

from storage.events import events_after, last_seq


def test_a_new_database_has_none(connection: apsw.Connection) -> None:
    assert last_seq(connection) == 0
    assert events_after(connection, 0, limit=10) == []


def test_events_come_back_as_they_were(connection: apsw.Connection, write: Any) -> None:
    with write() as tx:
        tx.emit("job.submitted", job_id="job-1", type="story")
        tx.emit("run.started", job_id="job-1", run_id="run-1", waited_s=0.5)
    assert events_after(connection, 0, limit=10) == tx.events
    assert last_seq(connection) == 2


def test_behind_a_number_and_at_most_so_many(connection: apsw.Connection, write: Any) -> None:
    with write() as tx:
        for _ in range(5):
            tx.emit("scheduler.started")
    assert [event.seq for event in events_after(connection, 2, limit=2)] == [3, 4]


def test_of_one_job_only(
    connection: apsw.Connection, write: Any, spied: Any, plan: Callable[..., str]
) -> None:
    with write() as tx:
        for n in range(6):
            tx.emit("job.due", job_id=f"job-{n % 2}")
    seen = spied(connection)
    assert [event.seq for event in events_after(connection, 1, limit=9, job_id="job-0")] == [3, 5]
    assert "USING INDEX events_job (job_id=? AND seq>?)" in plan(connection, *seen[-1])
