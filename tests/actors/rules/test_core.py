"""The rules: batches in one transaction, what asks are answered, and what a run ends as."""

from dataclasses import replace
from typing import Any

import apsw
import outcome
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from actors import messages as m
from actors.rules import jobs
from actors.rules.runs import claim
from actors.rules.verdict import judge
from config.limits import Limits
from headway.model.field import from_us
from headway.model.job import TRANSITIONS, JobPatch, JobStatus, NewJob, Progress
from headway.model.problem import Refusal
from headway.model.run import RunError, RunStatus
from storage.errors import StorageFailed
from storage.idempotency import Key
from storage.intents import digest_of
from storage.runs import Outcome
from storage.verify.invariants import verify
from tests.actors.desk import Desk

S = 1_000_000
OK = Outcome(status=RunStatus.COMPLETED, exit_code=0)
Q, R = JobStatus.QUEUED, JobStatus.RUNNING


def exited(run_id: str, outcome: Outcome = OK) -> m.RunExited:
    return m.RunExited(run_id=run_id, outcome=outcome)


def started(decision: Any) -> list[str]:
    """The types of the runs that a decision starts."""
    return [effect.intent.type for effect in decision.effects if isinstance(effect, m.EnsureRun)]


def stopped(decision: Any) -> list[tuple[str, str]]:
    return [
        (effect.run_id, effect.reason)
        for effect in decision.effects
        if isinstance(effect, m.StopRun)
    ]


def replaced(setup: Any, *changed: str) -> m.ReplaceSetup:
    return m.ReplaceSetup(setup=setup, changed=changed)


def submission(*types: str, **options: Any) -> m.SubmitJobs:
    return m.SubmitJobs(jobs=tuple(NewJob(type=type_) for type_ in types), **options)


# ---- one transaction per batch -----------------------------------------------------------------


def test_a_batch_is_one_transaction(desk: Desk) -> None:
    commits = []

    def count() -> bool:
        commits.append(1)
        return False

    desk.connection.set_commit_hook(count)
    decision = desk.decide(*[submission("a") for _ in range(50)])
    assert len(commits) == 1
    assert len(decision.answers) == 50
    assert [event.seq for event in decision.events] == list(range(1, len(decision.events) + 1))
    assert {event.at for event in decision.events} == {desk.now}


def test_a_refused_message_leaves_nothing_of_it(desk: Any) -> None:
    # The batch of three begins to be written, and the third is one too many.
    desk.core = desk.make_core(max_queued=3)
    (job,) = desk.submit("a")
    desk.submit("a")
    desk.now += S
    before = desk.dump()
    decision = desk.decide(
        submission("a", "a", "a"),
        m.CancelJob(job_id="job-none"),
        m.PatchJob(job_id=job.job_id, patch=JobPatch(priority=1)),
    )
    codes = [answer.error.code for answer in decision.answers]
    assert codes == ["queue_full", "not_found", "wrong_state"]
    assert (decision.events, decision.effects) == ([], [])
    assert desk.dump() == before


def test_a_message_that_is_refused_half_way_is_taken_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Limits.check_queued

    def refuse_late(limits: Limits, tx: Any, more: int) -> None:
        tx.emit("job.submitted", job_id="job-phantom")
        tx.execute("UPDATE scheduler SET running = 0")
        if more == 2:
            raise Refusal("queue_full", "half way")
        tx.execute("UPDATE scheduler SET running = 1")
        real(limits, tx, more)

    monkeypatch.setattr(Limits, "check_queued", refuse_late)
    decision = desk.decide(submission("a"), submission("a", "a"), submission("b"))
    assert [type(answer) for answer in decision.answers] == [
        outcome.Value,
        outcome.Error,
        outcome.Value,
    ]
    seqs = [seq for (seq,) in desk.connection.execute("SELECT seq FROM events ORDER BY seq")]
    assert seqs == [event.seq for event in decision.events] == list(range(1, len(seqs) + 1))
    assert [event.job_id for event in decision.events].count("job-phantom") == 2
    assert started(decision) == ["a"]


def test_a_refused_message_starts_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = claim

    def refuse_late(*arguments: Any) -> str:
        real(*arguments)
        raise Refusal("invalid", "after all")

    monkeypatch.setattr(jobs, "claim", refuse_late)
    decision = desk.decide(m.TriggerJob(type="a", params={}))
    assert (decision.effects, decision.events) == ([], [])
    assert desk.running() == []


def test_a_bug_takes_the_whole_batch_back(desk: Desk) -> None:
    before = desk.dump()
    with pytest.raises(AssertionError, match="does not understand"):
        desk.decide(submission("a"), m.GetMetrics())
    assert desk.dump() == before


def test_a_full_disk_takes_the_whole_batch_back(desk: Desk) -> None:
    desk.submit("a")
    before = desk.dump()
    desk.connection.pragma("max_page_count", desk.connection.pragma("page_count"))
    with pytest.raises(apsw.FullError):
        desk.decide(submission(*["a"] * 500))
    assert desk.dump() == before
    desk.connection.pragma("max_page_count", 1_000_000)
    desk.submit("a")


# ---- cancel, patch, retry, trigger -------------------------------------------------------------


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


# ---- how a run ends ----------------------------------------------------------------------------

SEEN = [
    OK,
    Outcome(status=RunStatus.SKIPPED, exit_code=77),
    Outcome(status=RunStatus.FAILED, exit_code=1, error=RunError(code="exit_status", message="1")),
    Outcome(status=RunStatus.FAILED, signal=15, error=RunError(code="signal", message="15")),
]


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        ("cancel", RunStatus.CANCELLED, None),
        ("timeout", RunStatus.FAILED, "timeout"),
        ("output_limit", RunStatus.FAILED, "output_limit"),
        ("shutdown", RunStatus.FAILED, "interrupted"),
    ],
)
def test_who_ended_it_decides_what_it_ends_as(
    seen: Outcome, reason: Any, status: RunStatus, code: str | None
) -> None:
    ended = judge(replace(seen, signalled=True), reason)
    assert (ended.status, ended.error and ended.error.code) == (status, code)
    assert (ended.exit_code, ended.signal) == (seen.exit_code, seen.signal)
    unseen = Outcome(status=RunStatus.FAILED, error=RunError(code="interrupted", message="lost"))
    assert judge(unseen, reason).status is status, "no end is on record"


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("reason", ["cancel", "timeout", "output_limit", "shutdown"])
def test_an_end_on_record_takes_precedence_over_a_reason_to_end_it(
    seen: Outcome, reason: Any
) -> None:
    """It had come to its own end before it was sent any signal."""
    assert judge(seen, reason) is seen


@pytest.mark.parametrize("seen", SEEN)
def test_what_ended_by_itself_is_what_was_seen(seen: Outcome) -> None:
    assert judge(seen, None) is seen


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


# ---- the end of a life, and the next -----------------------------------------------------------


def test_a_draining_server_starts_nothing_but_takes_jobs(desk: Desk) -> None:
    desk.submit("a", "a")
    ticket = desk.direct()
    desk.ask(m.Drain())
    desk.finish()
    (job,) = desk.submit("a")
    assert desk.running() == []
    assert desk.job(job).status is Q
    assert desk.refusal(m.StartDirect(type="a", params={})) == "shutting_down"
    assert desk.refusal(m.TriggerJob(type="a", params={})) == "shutting_down"
    reason = desk.connection.execute(
        "SELECT end_reason FROM reservations WHERE reservation_id = ?", (ticket.reservation_id,)
    ).get
    assert reason == "the server is shutting down"


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


def test_a_new_life_starts_what_may_start(desk: Desk) -> None:
    desk.ask(m.StopScheduler())
    desk.submit({"type": "a", "run_at": from_us(desk.now + S)}, "b")
    desk.connection.execute("UPDATE scheduler SET running = 1")
    desk.pass_s(5)
    desk.core = desk.make_core("srv-2")
    assert started(desk.core.recover(desk.connection, desk.now)) == ["a"]


def test_the_operators_word_outlives_the_server(desk: Desk) -> None:
    desk.ask(m.StopScheduler())
    desk.submit("a")
    desk.core = desk.make_core("srv-2")
    assert desk.core.recover(desk.connection, desk.now).effects == []


def test_the_direct_clients_of_an_earlier_life_are_gone(make_desk: Any) -> None:
    desk = make_desk(concurrency=1)
    running, waiting = desk.direct(), desk.direct()
    hold = desk.ask(m.Reserve(ttl_s=60))
    desk.core = desk.make_core("srv-2")
    (effect,) = desk.core.recover(desk.connection, desk.now).effects
    assert (effect.intent.run_id, effect.intent.stop_reason) == (running.run_id, "cancel")
    desk.decide(exited(running.run_id))
    assert desk.running() == []
    states = dict(desk.connection.execute("SELECT reservation_id, state FROM reservations"))
    assert states[waiting.reservation_id] == "ENDED"
    assert states[hold.reservation_id] == "HELD"


def test_recovering_twice_is_recovering_once(desk: Any) -> None:
    desk.submit("a", "b")
    desk.direct()
    core = desk.core = desk.make_core("srv-2")
    first = core.recover(desk.connection, desk.now)
    second = core.recover(desk.connection, desk.now)
    (before,), (after,) = ([effect.intent for effect in each.effects] for each in (first, second))
    assert after.digests == (*before.digests, digest_of(after.seal))
    assert replace(after, digests=before.digests, seal=before.seal) == before
    assert [event.kind for event in second.events] == ["server.started"]


# ---- another configuration ---------------------------------------------------------------------


def test_another_setup_holds_from_its_message_on(make_desk: Any) -> None:
    desk = make_desk(concurrency=1)
    desk.submit("a", "b")
    desk.concurrency = 2
    before, asked, after = (
        submission("a"),
        replaced(desk.setup(max_queued=2), "slots"),
        submission("b"),
    )
    decision = desk.decide(before, asked, after)
    assert started(decision) == ["b"], "the new slot is used in the same transaction"
    assert decision.answers[1].unwrap().concurrency == 2
    assert isinstance(decision.answers[2], outcome.Error), "the queue is shorter now"
    (event,) = [event for event in decision.events if event.kind == "server.reloaded"]
    limits = {name: type_.concurrency for name, type_ in desk.types.items()}
    assert from_json(event.data) == {"concurrency": 2, "types": limits, "changed": ["slots"]}


def test_what_was_set_over_http_goes_before_another_setup(make_desk: Any) -> None:
    desk = make_desk(concurrency=1)
    desk.ask(m.ConfigureScheduler(set_concurrency=True, concurrency=1, types={}))
    desk.concurrency = 3
    config = desk.ask(replaced(desk.setup()))
    assert (config.concurrency, config.overridden) == (1, ["concurrency"])
    reset = m.ConfigureScheduler(set_concurrency=True, concurrency=None, types={})
    assert desk.ask(reset).concurrency == 3


def test_a_setup_that_was_not_committed_does_not_hold(make_desk: Any) -> None:
    desk = make_desk(concurrency=1)
    desk.submit("a", "a")
    before, desk.concurrency = desk.core.setup, 2
    with pytest.raises(StorageFailed):
        desk.decide(replaced(desk.setup("b")), m.StorageBroke(why="a test"))
    assert desk.core.setup is before
    assert started(desk.decide(m.TimerFired())) == []
    assert started(desk.decide(replaced(desk.setup("b")))) == ["a"]


def test_jobs_of_a_type_that_is_gone_wait_for_its_return(desk: Any) -> None:
    desk.ask(m.StopScheduler())
    (gone, other) = desk.submit({"type": "b", "priority": 9}, "a")
    desk.ask(replaced(desk.setup("b"), "job_types.b"))
    assert started(desk.decide(m.StartScheduler())) == ["a"]
    desk.finish()
    assert (desk.job(gone).status, desk.job(other).status) == (Q, JobStatus.COMPLETED)
    decision = desk.decide(replaced(desk.setup(), "job_types.b"))
    assert started(decision) == ["b"]
    assert decision.effects[0].job_type is desk.types["b"]


def test_a_type_that_is_gone_starts_nothing(desk: Desk) -> None:
    (ended,) = desk.submit("b")
    desk.finish()
    desk.ask(replaced(desk.setup("b")))
    assert desk.refusal(m.RetryJob(job_id=ended.job_id)) == "unknown_type"
    assert desk.refusal(m.TriggerJob(type="b", params={})) == "unknown_type"
    assert desk.refusal(m.StartDirect(type="b", params={})) == "unknown_type"


def test_a_direct_run_of_a_type_that_is_gone_gives_its_turn_up(desk: Desk) -> None:
    desk.submit("a", "a")
    gone, stays = desk.direct("b"), desk.direct("one")
    desk.ask(replaced(desk.setup("b")))
    assert desk.reservation(gone.reservation_id).end_reason == "b is no longer configured"
    assert desk.reservation(stays.reservation_id).state == "WAITING"
    assert started(desk.decide(exited(desk.running()[0].run_id))) == ["one"]


def test_what_runs_keeps_its_type_to_the_end(desk: Desk) -> None:
    desk.submit("b")
    (run,) = desk.running()
    decision = desk.decide(replaced(desk.setup("b")))
    assert decision.effects == []
    desk.decide(exited(run.run_id))
    assert desk.running() == []
    assert not [finding for finding in verify(desk.connection) if finding.breaches]


# ---- idempotency -------------------------------------------------------------------------------


def test_the_same_key_gets_the_first_answer_again(desk: Desk) -> None:
    key = Key(key="k", request=b"1")
    first, second = desk.decide(submission("a", key=key), submission("a", key=key)).answers
    first, second = first.unwrap(), second.unwrap()
    assert (first.replayed, second.replayed) == (False, True)
    assert second.response == first.response
    assert second.location == f"/jobs/{first.jobs[0].job_id}"
    assert desk.connection.execute("SELECT count(*) FROM jobs").get == 1
    other = submission("a", key=Key(key="k", request=b"2"))
    assert desk.refusal(other) == "idempotency_mismatch"


def test_a_replay_is_answered_also_when_the_queue_is_full(desk: Desk) -> None:
    desk.core = desk.make_core(max_queued=1)
    desk.submit("a")  # runs
    key = Key(key="k", request=b"1")
    desk.ask(submission("a", key=key))
    assert desk.refusal(submission("a")) == "queue_full"
    assert desk.ask(submission("a", key=key)).replayed


def test_a_refused_submission_keeps_its_key_free(desk: Desk) -> None:
    desk.core = desk.make_core(max_queued=1)
    key = Key(key="k", request=b"1")
    assert desk.refusal(submission("a", "a", key=key)) == "queue_full"
    assert not desk.ask(submission("a", key=Key(key="k", request=b"2"))).replayed


# ---- whatever comes ----------------------------------------------------------------------------

TYPES = ("a", "b", "one")
NAMES = (
    *("submit", "submit", "later", "cancel", "patch", "delete", "exit", "exit", "exit", "fail"),
    *("overstep", "direct", "abandon", "reserve", "release", "start", "stop", "limit", "trigger"),
    *("wait", "restart", "release all", "reload"),
)
ACTIONS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 5)), max_size=30)


def message_of(desk: Desk, action: str, n: int, tickets: list[m.DirectTicket]) -> Any:
    ids = [job for (job,) in desk.connection.execute("SELECT job_id FROM jobs").fetchall()]
    runs = [run.run_id for run in desk.running()]
    job_id = str(ids[n % len(ids)]) if ids else "job-none"
    run_id = runs[n % len(runs)] if runs else "run-none"
    held = [r for (r,) in desk.connection.execute("SELECT reservation_id FROM reservations")]
    return {
        "submit": submission(*[TYPES[n % 3]] * (1 + n // 3)),
        "later": m.SubmitJobs(jobs=(NewJob(type="a", run_at=from_us(desk.now + n * S)),)),
        "cancel": m.CancelJob(job_id=job_id),
        "patch": m.PatchJob(job_id=job_id, patch=JobPatch(priority=n)),
        "delete": m.DeleteJob(job_id=job_id),
        "exit": exited(run_id),
        "fail": exited(run_id, SEEN[2]),
        "overstep": m.RunLimitExceeded(run_id=run_id, reason="timeout"),
        "direct": m.StartDirect(type=TYPES[n % 3], params={}),
        "abandon": m.AbandonDirect(ticket=tickets[n % len(tickets)]) if tickets else m.TimerFired(),
        "reserve": m.Reserve(ttl_s=n + 1),
        "release": m.ReleaseReservation(reservation_id=held[n % len(held)] if held else "none"),
        "release all": m.ReleaseReservations(),
        "start": m.StartScheduler(),
        "stop": m.StopScheduler(),
        "limit": m.ConfigureScheduler(set_concurrency=True, concurrency=n or None, types={"b": 1}),
        "trigger": m.TriggerJob(type="b", params={}),
        "reload": replaced(desk.setup(*TYPES[n % 3 : 2])),
        "wait": m.TimerFired(),
    }[action]


@settings(max_examples=60)
@given(ACTIONS)
def test_whatever_comes_the_invariants_hold(make_desk: Any, actions: list[tuple[str, int]]) -> None:
    desk = make_desk()
    tickets: list[m.DirectTicket] = []
    paths: dict[str, JobStatus] = {}
    for n, (action, number) in enumerate(actions):
        if action == "restart":
            desk.core = desk.make_core(f"srv-{n + 2}")
            desk.core.recover(desk.connection, desk.now)
            continue
        if action == "wait":
            desk.pass_s(number)
        decision = desk.decide(message_of(desk, action, number, tickets))
        if action == "direct" and isinstance(decision.answers[0], outcome.Value):
            tickets.append(decision.answers[0].value)
        assert_limits(desk, decision)
        for job_id, status in desk.connection.execute("SELECT job_id, status FROM jobs"):
            before, after = paths.get(job_id, Q), JobStatus(status)
            legal = after == before or after in TRANSITIONS[before]
            assert legal or (before is Q and after in TRANSITIONS[R])
            paths[job_id] = after
    broken = [finding for finding in verify(desk.connection) if finding.breaches]
    assert broken == []
    desk.connection.close()


def assert_limits(desk: Desk, decision: Any) -> None:
    """What a decision starts keeps within the limits; what ran before may exceed lowered ones."""
    config = desk.core.setup.in_force(desk.connection)
    rows = desk.connection.execute(
        "SELECT type FROM job_runs WHERE status = 'RUNNING' AND lane <> 'legacy'"
    )
    types = [type_ for (type_,) in rows]
    held = desk.connection.execute("SELECT count(*) FROM reservations WHERE state = 'HELD'").get
    begun = [event for event in decision.events if '"lane":"legacy"' not in event.data]
    if any(event.kind in ("run.started", "reservation.held") for event in begun):
        assert len(types) + held <= config.concurrency
    for event in begun:
        if event.kind == "run.started":
            type_ = from_json(event.data)["type"]
            assert types.count(type_) <= (config.types[type_] or 1024)


def test_a_refusal_does_not_count_once_it_was_asked_again(desk: Any) -> None:
    """The run may have begun since: what an earlier life asked for was answered too late."""
    desk.submit("a")
    (run,) = desk.running()
    refused = Outcome(status=RunStatus.FAILED, error=RunError(code="spawn", message="no"))
    asked = desk.core.recover(desk.connection, desk.now).effects[0].life
    desk.decide(m.RunExited(run_id=run.run_id, outcome=refused, refused_in=asked - 1))
    assert [left.run_id for left in desk.running()] == [run.run_id]
    desk.decide(m.RunExited(run_id=run.run_id, outcome=refused, refused_in=asked))
    assert desk.running() == []
