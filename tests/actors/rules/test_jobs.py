"""Jobs by the rules: cancel, change, retry, trigger."""

from typing import Any

import pytest

from actors import messages as m
from headway.model.field import from_us
from headway.model.job import JobPatch, JobStatus
from headway.model.problem import Refusal
from headway.model.run import RunStatus
from storage.runs import Outcome
from tests.actors.desk import Desk, R, S, exited, replaced, started, stopped


def test_cancelled_before_its_start_it_never_has_a_run(desk: Desk) -> None:
    desk.submit("a")
    (job,) = desk.submit("a")
    decision = desk.decide(m.CancelJob(job_id=job.job_id))
    assert decision.effects == []
    desk.finish()
    assert desk.job(job).status is JobStatus.CANCELLED
    assert desk.connection.execute("SELECT count(*) FROM job_runs").get == 1


def test_cancel_before_the_commit_that_would_start_it(desk: Desk) -> None:
    desk.submit("a")
    (job,) = desk.submit("a")
    (running,) = desk.running()
    decision = desk.decide(exited(running.run_id), m.CancelJob(job_id=job.job_id))
    assert started(decision) == []


def test_cancelling_what_runs_asks_once_and_waits_for_the_end(desk: Desk) -> None:
    (job,) = desk.submit("a")
    (run,) = desk.running()
    decision = desk.decide(m.CancelJob(job_id=job.job_id))
    assert stopped(decision) == [(run.run_id, "cancel")]
    assert decision.answers[0].unwrap().status is R
    again = desk.decide(m.CancelJob(job_id=job.job_id))
    assert (again.effects, again.events) == ([], [])
    desk.finish(Outcome(status=RunStatus.COMPLETED, exit_code=0, signalled=True))
    assert desk.job(job).status is JobStatus.CANCELLED
    assert desk.ask(m.CancelJob(job_id=job.job_id)).status is JobStatus.CANCELLED


@pytest.mark.parametrize("ended", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.SKIPPED])
def test_what_has_ended_otherwise_is_not_cancelled(desk: Desk, ended: RunStatus) -> None:
    (job,) = desk.submit("a")
    desk.finish(Outcome(status=ended))
    assert desk.refusal(m.CancelJob(job_id=job.job_id)) == "wrong_state"


@pytest.mark.parametrize("make", [
    lambda job, tags: m.PatchJob(job_id=job, patch=JobPatch(priority=3), if_match=tags),
    lambda job, tags: m.DeleteJob(job_id=job, if_match=tags),
])  # fmt: skip
def test_only_a_queued_job_in_the_version_that_was_meant_is_changed(desk: Desk, make: Any) -> None:
    desk.submit("a")
    (job,) = desk.submit("a")
    (running,) = (run.job_id for run in desk.running())
    assert desk.refusal(make(running, None)) == "wrong_state"
    assert desk.refusal(make("job-none", None)) == "not_found"
    assert desk.refusal(make(job.job_id, frozenset({'"7"'}))) == "precondition_failed"
    assert desk.ask(make(job.job_id, frozenset({'"7"', '"1"'}))).version == 2


def test_any_version_will_do_for_a_star(desk: Desk) -> None:
    desk.submit("a")
    (job,) = desk.submit("a")
    deleted = desk.ask(m.DeleteJob(job_id=job.job_id, if_match=frozenset({"*"})))
    assert deleted.status is JobStatus.CANCELLED


def test_a_job_cannot_be_put_off_beyond_its_expiry(desk: Desk) -> None:
    at = desk.now + 9 * S
    (job,) = desk.submit({"type": "a", "run_at": from_us(at - S), "expires_at": from_us(at)})

    def put_off(run_at: int) -> Any:
        return desk.ask(m.PatchJob(job_id=job.job_id, patch=JobPatch(run_at=from_us(run_at))))

    with pytest.raises(Refusal, match="run_at") as caught:
        put_off(at)
    assert (caught.value.code, caught.value.faults[0].pointer) == ("invalid", "/run_at")
    assert put_off(at - 1).version == 2
    assert desk.ask(m.PatchJob(job_id=job.job_id, patch=JobPatch(run_at=None))).run_at is None


def test_a_patched_priority_overtakes(desk: Desk) -> None:
    desk.submit("a")
    _, later = desk.submit("a", "a")
    desk.ask(m.PatchJob(job_id=later.job_id, patch=JobPatch(priority=1)))
    desk.finish()
    assert desk.running()[0].job_id == later.job_id


def test_a_retry_is_a_new_job_like_the_old_one(desk: Desk) -> None:
    (old,) = desk.submit(
        {"type": "secret", "params": {"key": "k"}, "priority": 3, "name": "n", "labels": {"a": "1"}}
    )
    assert desk.refusal(m.RetryJob(job_id=old.job_id)) == "wrong_state"
    desk.finish(Outcome(status=RunStatus.FAILED))
    new = desk.ask(m.RetryJob(job_id=old.job_id))
    assert (new.retry_of, new.origin, new.params, new.priority, new.name, new.labels) == (
        old.job_id,
        "retry",
        {"key": "k"},
        3,
        "n",
        {"a": "1"},
    )
    assert desk.job(old).status is JobStatus.FAILED
    desk.ask(replaced(desk.setup("secret")))
    assert desk.refusal(m.RetryJob(job_id=old.job_id)) == "unknown_type"


def test_a_triggered_job_runs_at_once_beside_the_queue(desk: Desk) -> None:
    desk.submit("a")
    desk.ask(m.StopScheduler())
    job = desk.ask(m.TriggerJob(type="b", params={}))
    assert (job.status, job.origin) == (R, "legacy")
    assert len(desk.running()) == 2
    desk.ask(m.StartScheduler())
    desk.submit("a")
    desk.decide(exited(desk.running()[0].run_id))
    assert [run.type for run in desk.running()] == ["b", "a"]
