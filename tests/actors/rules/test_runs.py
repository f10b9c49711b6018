"""Runs by the rules: they end once, and each life settles those of the one before."""

from dataclasses import replace
from typing import Any

import outcome
import pytest

from actors import messages as m
from headway.model.job import JobStatus, Progress
from storage.verify.invariants import verify
from tests.actors.desk import (
    OK,
    SEEN,
    Desk,
    exited,
    replaced,
    stopped,
)


def test_a_job_ends_with_the_status_of_its_run(desk: Desk) -> None:
    for ended in SEEN:
        (job,) = desk.submit("a")
        desk.finish(ended)
        found = desk.job(job)
        assert found.status.value == ended.status.value
        assert found.reason == (ended.error and ended.error.message)


def test_a_run_is_finished_once(desk: Desk) -> None:
    (job,) = desk.submit("a")
    (run,) = desk.running()
    twice = desk.decide(exited(run.run_id), exited(run.run_id, SEEN[2]))
    assert [event.kind for event in twice.events] == ["run.finished"]
    late = desk.decide(exited(run.run_id, SEEN[2]), exited("run-none"))
    assert late.events == []
    assert desk.job(job).status is JobStatus.COMPLETED
    assert all(isinstance(answer, outcome.Value) for answer in late.answers)


@pytest.mark.parametrize("reason", ["timeout", "output_limit"])
def test_an_overstepping_run_is_stopped_once(desk: Desk, reason: Any) -> None:
    desk.submit("a")
    (run,) = desk.running()
    message = m.RunLimitExceeded(run_id=run.run_id, reason=reason)
    assert stopped(desk.decide(message, message)) == [(run.run_id, reason)]
    desk.finish()
    assert stopped(desk.decide(message)) == []


def test_progress_and_process_are_noted(desk: Desk) -> None:
    (job,) = desk.submit("a")
    (run,) = desk.running()
    half = Progress(fraction=0.5, message=None)
    desk.decide(
        m.RunProcess(run_id=run.run_id, pid=7, began_us=5),
        m.RunProgressed(run_id=run.run_id, job_id=job.job_id, progress=half),
    )
    assert desk.job(job).progress == half
    assert desk.running()[0].pid == 7


def test_shutdown_stops_every_run(make_desk: Any) -> None:
    desk = make_desk(concurrency=2)
    (job, other) = desk.submit("a", "b")
    desk.ask(m.CancelJob(job_id=other.job_id))
    decision = desk.decide(m.StopRuns(immediately=True))
    assert [effect.immediately for effect in decision.effects] == [True, True]
    for run in desk.running():
        desk.decide(m.RunExited(run_id=run.run_id, outcome=replace(OK, signalled=True)))
    assert desk.job(job).status is JobStatus.FAILED
    assert desk.job(other).status is JobStatus.CANCELLED  # the first reason stands


def test_a_shutdown_that_detaches_stops_what_nobody_could_adopt(make_desk: Any) -> None:
    desk = make_desk(concurrency=2, b={"adopt": False})
    (_, other) = desk.submit("a", "b")
    decision = desk.decide(m.StopRuns(immediately=False, adoptable=False))
    (stop,) = decision.effects
    assert stop.run_id == next(r.run_id for r in desk.running() if r.job_id == other.job_id)


def test_a_new_life_settles_every_run(make_desk: Any) -> None:
    desk = make_desk(concurrency=2)
    desk.submit("a", "b", "b")
    running = [run.run_id for run in desk.running()]
    desk.core = desk.make_core("srv-2")
    decision = desk.core.recover(desk.connection, desk.now)
    assert [effect.intent.run_id for effect in decision.effects] == running
    assert decision.events[0].kind == "server.started"


def test_what_runs_keeps_its_type_to_the_end(desk: Desk) -> None:
    desk.submit("b")
    (run,) = desk.running()
    decision = desk.decide(replaced(desk.setup("b")))
    assert decision.effects == []
    desk.decide(exited(run.run_id))
    assert desk.running() == []
    assert not [finding for finding in verify(desk.connection) if finding.breaches]
