"""The events added up by the minute, against a count of every event."""

import json
from collections.abc import Callable
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.model.field import from_us, to_us
from headway.model.job import JobStatus
from headway.model.run import RunStatus
from storage import rollup
from storage.database import migrations
from storage.jobs import cancel_queued, move, skip_queued
from storage.rollup import bucket, middle_s, percentiles, read_history
from storage.runs import Outcome, finish_run
from storage.transaction import write_transaction
from storage.verify.invariants import verify

NOW = 1_800_000_000_000_000
MINUTE = rollup.MINUTE_US
ENDS = [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.SKIPPED, RunStatus.CANCELLED]


@settings(max_examples=60)
@given(st.data())
def test_a_chart_is_what_the_events_say(
    fresh: Callable[[], apsw.Connection], put: Any, intend: Any, data: st.DataObject
) -> None:
    connection = fresh()
    now, queued, running, number = NOW, [], [], 0
    for _ in range(data.draw(st.integers(0, 25), "transactions")):
        now += data.draw(st.sampled_from([0, 1, 30, 60, 3600, -20]), "seconds") * 1_000_000
        with write_transaction(connection, now) as tx:
            for act in data.draw(st.lists(st.sampled_from("sssrrffckd"), max_size=4), "acts"):
                number += 1
                if act == "s":
                    queued.append(put(tx, f"job-{number}").job_id)
                elif act == "d":
                    intend(tx, f"run-{number}", lane="direct")
                    running.append((f"run-{number}", None))
                elif act == "f" and running:
                    run_id, job_id = running.pop()
                    status = data.draw(st.sampled_from(ENDS))
                    finish_run(tx, run_id, Outcome(status=status, exit_code=0))
                    if job_id:
                        move(tx, job_id, JobStatus.RUNNING, JobStatus(status.value))
                elif act == "r" and queued:
                    job_id = queued.pop()
                    move(tx, job_id, JobStatus.QUEUED, JobStatus.RUNNING)
                    intend(tx, f"run-{number}", job_id=job_id)
                    running.append((f"run-{number}", job_id))
                elif act in "ck" and queued:
                    end = cancel_queued if act == "c" else lambda t, j: skip_queued(t, j, "late")
                    end(tx, queued.pop())
    assert rollup.recount(connection) == []
    step_s = data.draw(st.sampled_from([60, 900, 3600]), "step")
    history = read_history(connection, now, step_s=step_s, steps=20)
    assert len(history.points) == 21
    events: list[Any] = connection.execute("SELECT at, kind, job_id, data FROM events").fetchall()
    since = to_us(history.from_)
    for index, point in enumerate(history.points):
        until = to_us(point.at)
        last = index == len(history.points) - 1
        before = [event for event in events if last or event[0] < until]
        length = sum(
            (kind == "job.submitted")
            - (kind in ("job.cancelled", "job.skipped"))
            - (kind == "run.started" and job_id is not None)
            for _, kind, job_id, _ in before
        )
        assert point.queue_length == length
        ended = [
            json.loads(event[3])["status"]
            for event in before
            if event[0] >= since and event[1] == "run.finished"
        ]
        assert point.completed == ended.count("COMPLETED")
        assert point.failed == ended.count("FAILED")
        assert (point.run_s is None) == (not ended)
        since = until


def test_a_migration_adds_up_the_events_that_are_there(
    connection: apsw.Connection, write: Any, put: Any, intend: Any, now: int
) -> None:
    with write() as tx:
        put(tx, "job-1")
        put(tx, "job-2")
    with write(now + 5 * MINUTE) as tx:
        move(tx, "job-1", JobStatus.QUEUED, JobStatus.RUNNING)
        intend(tx, "run-1", job_id="job-1", eligible_at=now)
        cancel_queued(tx, "job-2")
    with write(now + 7 * MINUTE) as tx:
        finish_run(tx, "run-1", Outcome(status=RunStatus.FAILED, exit_code=1))
    tables = ("SELECT * FROM history", "SELECT * FROM history_times")
    kept = [connection.execute(sql).fetchall() for sql in tables]
    assert len(kept[0]) == 3
    connection.execute("DROP TABLE history; DROP TABLE history_times")
    (sql,) = [sql for number, sql in migrations() if number == 2]
    for _ in connection.execute(sql):
        pass
    assert [connection.execute(sql).fetchall() for sql in tables] == kept


def test_a_wrong_sum_is_found(connection: apsw.Connection, write: Any, put: Any) -> None:
    with write() as tx:
        put(tx)
    assert rollup.recount(connection) == []
    connection.execute("UPDATE history SET queued = queued + 1")
    assert [sums for _, *sums in rollup.recount(connection)] == [[1, 0, 0, 0, 0]]
    assert [len(f.breaches) for f in verify(connection) if f.name == "HistoryRecount"] == [1]
    connection.execute("UPDATE history SET queued = queued - 1")
    connection.execute("INSERT INTO history_times VALUES (3600, 2, 'run', 3, 1)")
    assert rollup.recount(connection) == [(120, "run", 3600, 1)]


def test_a_missing_sum_is_found(
    connection: apsw.Connection, write: Any, put: Any, intend: Any, now: int
) -> None:
    with write() as tx:
        put(tx)
        intend(tx, "run-1", eligible_at=now)
        finish_run(tx, "run-1", Outcome(status=RunStatus.FAILED, exit_code=1))
    connection.execute("DELETE FROM history_times WHERE step_s = 60 AND measure = 'wait'")
    assert [found[1:] for found in rollup.recount(connection)] == [("wait", 60, -1)]
    connection.execute("DELETE FROM history")
    assert len(rollup.recount(connection)) == 2


def test_a_queue_that_was_there_before_stays_in_every_point(
    connection: apsw.Connection, write: Any, put: Any, now: int
) -> None:
    with write(now - 100 * MINUTE) as tx:
        put(tx)
        put(tx)
    history = read_history(connection, now, step_s=60, steps=60)
    assert [point.queue_length for point in history.points] == [2] * 61
    assert history.points[-1].at == history.to == from_us(now)
    assert history.points[0].wait_s is None


@given(st.integers(1, 10**12))
def test_a_bucket_stands_for_a_duration_within_five_per_cent(us: int) -> None:
    assert middle_s(bucket(us)) * 1e6 == pytest.approx(us, rel=0.0501)


def test_no_time_at_all_has_a_bucket_of_its_own() -> None:
    assert (bucket(0), middle_s(-1)) == (-1, 0.0)


@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=200))
def test_percentiles_are_those_of_the_nearest_rank(values: list[float]) -> None:
    histogram: dict[int, int] = {}
    for value in values:
        place = bucket(round(value * 1e6))
        histogram[place] = histogram.get(place, 0) + 1
    found = percentiles(histogram)
    assert found is not None
    for share, value in ((50, found.p50), (95, found.p95), (99, found.p99)):
        exact = sorted(values)[max(0, -(-len(values) * share // 100) - 1)]
        assert value == pytest.approx(exact, rel=0.051)
    assert percentiles({}) is None
