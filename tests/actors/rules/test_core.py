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
from config.limits import Limits
from headway.model.field import from_us
from headway.model.job import TRANSITIONS, JobPatch, JobStatus, NewJob
from headway.model.problem import Refusal
from storage.intents import digest_of
from storage.verify.invariants import verify
from tests.actors.desk import (
    SEEN,
    Desk,
    Q,
    R,
    S,
    exited,
    replaced,
    started,
    submission,
)


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


def test_a_new_life_starts_what_may_start(desk: Desk) -> None:
    desk.ask(m.StopScheduler())
    desk.submit({"type": "a", "run_at": from_us(desk.now + S)}, "b")
    desk.connection.execute("UPDATE scheduler SET running = 1")
    desk.pass_s(5)
    desk.core = desk.make_core("srv-2")
    assert started(desk.core.recover(desk.connection, desk.now)) == ["a"]


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


TYPES = ("a", "b", "one")


NAMES = (
    *("submit", "submit", "later", "cancel", "patch", "delete", "exit", "exit", "exit", "fail"),
    *("overstep", "direct", "abandon", "reserve", "release", "start", "stop", "limit", "trigger"),
    *("wait", "restart", "release all", "reload"),
)


ACTIONS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 5)), max_size=30)


def message_of(desk: Desk, action: str, n: int, all_reserved: list[m.DirectReservation]) -> Any:
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
        "abandon": m.AbandonDirect(reserved=all_reserved[n % len(all_reserved)])
        if all_reserved
        else m.TimerFired(),
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
    all_reserved: list[m.DirectReservation] = []
    paths: dict[str, JobStatus] = {}
    for n, (action, number) in enumerate(actions):
        if action == "restart":
            desk.core = desk.make_core(f"srv-{n + 2}")
            desk.core.recover(desk.connection, desk.now)
            continue
        if action == "wait":
            desk.pass_s(number)
        decision = desk.decide(message_of(desk, action, number, all_reserved))
        if action == "direct" and isinstance(decision.answers[0], outcome.Value):
            all_reserved.append(decision.answers[0].value)
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
