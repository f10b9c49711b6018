"""JobRuns in SQL: the intent first, one run a Job, finished once."""

from dataclasses import replace
from typing import Any

import apsw
import pytest
from pydantic_core import from_json

from headway.model.artifact import Artifact
from headway.model.field import from_us
from headway.model.problem import Refusal
from headway.model.run import LogSummary, RunError, RunStatus
from storage import runs
from storage.intents import running_intents
from storage.runs import Outcome, find_run, finish_run, request_stop, run_of_job

S = 1_000_000
DONE = Outcome(status=RunStatus.COMPLETED, exit_code=0)


def test_the_intent_is_a_running_run(
    connection: apsw.Connection, write: Any, put: Any, intend: Any, now: int
) -> None:
    with write() as tx:
        put(tx, "job-1")
        intent = intend(
            tx, "run-1", job_id="job-1", params={"a": 1}, argv=["x", "***"], eligible_at=now - 2 * S
        )
    run = find_run(connection, "run-1")
    assert (run.status, run.job_id, run.argv) == (RunStatus.RUNNING, "job-1", ["x", "***"])
    assert (run.pid, run.finished_at, run.duration_s, run.error) == (None, None, None, None)
    assert run.params_snapshot == {"a": 1}
    assert run.started_at == from_us(now)
    assert running_intents(connection) == [(intent, "srv-1")]
    assert tx.events[-1].kind == "run.started"
    assert '"waited_s":2.0' in tx.events[-1].data


def test_a_job_has_one_run_for_ever(write: Any, put: Any, intend: Any) -> None:
    with write() as tx:
        put(tx, "job-1")
        intend(tx, "run-1", job_id="job-1")
        finish_run(tx, "run-1", DONE)
    with pytest.raises(apsw.ConstraintError), write() as tx:
        intend(tx, "run-2", job_id="job-1")


def test_how_it_ended_comes_back(
    connection: apsw.Connection, write: Any, intend: Any, now: int
) -> None:
    ended = Outcome(
        status=RunStatus.FAILED,
        pid=7,
        exit_code=3,
        error=RunError(code="exit_status", message="it said 3"),
        result='{"n":[1,null]}',
        artifacts=(Artifact(name="a/b.txt", size_bytes=3, sha256="00"),),
        log=LogSummary(bytes=9, truncated=True),
    )
    with write() as tx:
        intend(tx, "run-1")
    with write(now + 3 * S // 2) as tx:
        assert finish_run(tx, "run-1", ended)
    run = find_run(connection, "run-1")
    assert (run.status, run.pid, run.exit_code, run.signal) == (RunStatus.FAILED, 7, 3, None)
    assert (run.error, run.result) == (ended.error, {"n": [1, None]})
    assert (run.artifacts, run.log) == (list(ended.artifacts), ended.log)
    assert run.duration_s == 1.5
    assert tx.events[0].kind == "run.finished"
    assert running_intents(connection) == []


def test_a_run_is_finished_once(connection: apsw.Connection, write: Any, intend: Any) -> None:
    with write() as tx:
        intend(tx, "run-1")
        assert finish_run(tx, "run-1", DONE)
        was = find_run(connection, "run-1")
        events = len(tx.events)
        assert not finish_run(tx, "run-1", Outcome(status=RunStatus.FAILED, exit_code=9))
        assert len(tx.events) == events
    assert find_run(connection, "run-1") == was


def test_no_run_ends_before_it_began(
    connection: apsw.Connection, write: Any, intend: Any, now: int
) -> None:
    with write() as tx:
        intend(tx, "run-1")
    with write(now - 3600 * S) as tx:  # the clock was set back
        finish_run(tx, "run-1", DONE)
    assert find_run(connection, "run-1").duration_s == 0
    assert '"duration_s":0.0' in tx.events[0].data


def test_an_end_is_when_it_was_seen_and_lasted_as_measured(
    connection: apsw.Connection, write: Any, intend: Any, now: int
) -> None:
    with write() as tx:
        intend(tx, "run-1")
    with write(now + 3600 * S) as tx:
        ended = replace(DONE, finished_at=now + 9 * S, duration_us=3 * S)
        assert finish_run(tx, "run-1", ended) == (None, now + 9 * S, 3 * S)
    run = find_run(connection, "run-1")
    assert (run.finished_at, run.duration_s) == (from_us(now + 9 * S), 3)
    assert '"duration_s":3.0' in tx.events[0].data


def test_a_run_of_an_earlier_version_lasted_as_its_times_say(
    connection: apsw.Connection, write: Any, intend: Any, now: int
) -> None:
    with write() as tx:
        intend(tx, "run-1")
    with write(now + 3 * S) as tx:
        finish_run(tx, "run-1", DONE)
    connection.execute("UPDATE job_runs SET duration_us = NULL")
    assert find_run(connection, "run-1").duration_s == 3


def test_the_first_reason_to_stop_stands(
    connection: apsw.Connection, write: Any, intend: Any
) -> None:
    with write() as tx:
        intend(tx, "run-1")
        assert request_stop(tx, "run-1", "timeout")
        assert not request_stop(tx, "run-1", "cancel")
        assert [event.kind for event in tx.events] == ["run.started", "run.stopping"]
    assert running_intents(connection)[0][0].stop_reason == "timeout"


def test_what_has_ended_is_not_stopped(write: Any, intend: Any) -> None:
    with write() as tx:
        intend(tx, "run-1")
        finish_run(tx, "run-1", DONE)
        assert not request_stop(tx, "run-1", "cancel")
        assert not request_stop(tx, "run-none", "cancel")


def test_a_process_is_noted_once_and_while_it_runs(
    connection: apsw.Connection, write: Any, intend: Any
) -> None:
    with write() as tx:
        intend(tx, "run-1")
        runs.note_process(tx, "run-1", 7, 5)
        runs.note_process(tx, "run-1", 7, 5)
        assert [event.kind for event in tx.events] == ["run.started", "run.process"]
        finish_run(tx, "run-1", DONE)
        runs.note_process(tx, "run-1", 8, 5)
    assert find_run(connection, "run-1").pid == 7


def test_what_runs_is_told_in_the_order_of_starting(
    connection: apsw.Connection, write: Any, intend: Any, now: int
) -> None:
    for run_id, at in (("run-c", now), ("run-a", now + 2), ("run-b", now + 1)):
        with write(at) as tx:
            intend(tx, run_id, server_id=f"srv-of-{run_id}")
    assert [(intent.run_id, server) for intent, server in running_intents(connection)] == [
        ("run-c", "srv-of-run-c"),
        ("run-b", "srv-of-run-b"),
        ("run-a", "srv-of-run-a"),
    ]


def test_legacy_runs_fill_no_slot(connection: apsw.Connection, write: Any, intend: Any) -> None:
    with write() as tx:
        intend(tx, "run-1", type="a")
        intend(tx, "run-2", type="a", lane="direct")
        intend(tx, "run-3", type="a", lane="legacy")
        intend(tx, "run-4", type="b")
        finish_run(tx, "run-4", DONE)
    assert runs.busy_by_type(connection) == {"a": 2}


def test_slots_are_counted_from_an_index(
    connection: apsw.Connection, spied: Any, plan: Any
) -> None:
    seen = spied(connection)
    runs.busy_by_type(connection)
    assert "USING COVERING INDEX job_runs_running" in plan(connection, *seen[-1])


def test_a_run_that_is_not_there(connection: apsw.Connection) -> None:
    with pytest.raises(Refusal) as caught:
        find_run(connection, "run-none")
    assert caught.value.code == "not_found"
    assert run_of_job(connection, "job-none") is None


def test_the_run_of_a_job(connection: apsw.Connection, write: Any, put: Any, intend: Any) -> None:
    with write() as tx:
        put(tx, "job-1")
        intend(tx, "run-1", job_id="job-1")
    run = run_of_job(connection, "job-1")
    assert run is not None
    assert run.run_id == "run-1"


@pytest.mark.parametrize(
    ("result", "shown"),
    [(None, None), ('{"a":[1]}', {"a": [1]}), ("null", None), (f'"{"x" * 5000}"', None)],
)
def test_a_short_result_is_part_of_the_event(
    write: Any, intend: Any, result: str | None, shown: Any
) -> None:
    with write() as tx:
        intend(tx, "run-1", lane="direct")
        finish_run(tx, "run-1", Outcome(status=RunStatus.COMPLETED, exit_code=0, result=result))
    data = from_json(tx.events[-1].data)
    assert (data["has_result"], data["result"]) == (result is not None, shown)


def test_every_event_about_a_run_tells_its_job_and_its_type(
    write: Any, put: Any, intend: Any
) -> None:
    with write() as tx:
        put(tx, "job-1")
        intend(tx, "run-1", job_id="job-1")
        runs.note_process(tx, "run-1", 7, 5)
        request_stop(tx, "run-1", "cancel")
        finish_run(tx, "run-1", DONE)
    shown = [event for event in tx.events if event.run_id == "run-1"]
    assert [event.kind for event in shown] == [
        "run.started", "run.process", "run.stopping", "run.finished",
    ]  # fmt: skip
    assert {event.job_id for event in shown} == {"job-1"}
    assert {from_json(event.data)["type"] for event in shown} == {"story"}
