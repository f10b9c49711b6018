"""What may start now: order, limits, reservations."""

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors import messages as m
from headway.model.field import from_us
from headway.model.job import Job, JobStatus, NewJob
from headway.model.run import RunStatus
from storage.runs import Outcome
from storage.verify.invariants import verify
from tests.actors.desk import Desk

S = 1_000_000
OK = Outcome(status=RunStatus.COMPLETED, exit_code=0)


def exited(run_id: str) -> m.RunExited:
    return m.RunExited(run_id=run_id, outcome=OK)


def stopped(decision: Any) -> list[tuple[str, str]]:
    return [
        (effect.run_id, effect.reason)
        for effect in decision.effects
        if isinstance(effect, m.StopRun)
    ]


def submission(*types: str) -> m.SubmitJobs:
    return m.SubmitJobs(jobs=tuple(NewJob(type=type_) for type_ in types))


# ---- order -------------------------------------------------------------------------------------

TYPES = ("a", "b", "one")
JOBS = st.lists(
    st.tuples(
        st.sampled_from(TYPES),
        st.integers(0, 2),
        st.none() | st.integers(-2, 6),  # run_at, seconds from the beginning
    ),
    max_size=10,
)


def naive_order(
    jobs: list[tuple[Job, int | None]], concurrency: int, limits: dict[str, int | None], now_s: int
) -> list[str]:
    """The specification: start the best of the startable, until no slot is free."""
    begun: list[str] = []
    waiting = list(jobs)
    while len(begun) < concurrency:
        running = Counter(job.type for job, _ in jobs if job.job_id in begun)
        may = [
            job
            for job, run_at_s in waiting
            if (run_at_s is None or run_at_s <= now_s)
            and (limits[job.type] is None or running[job.type] < (limits[job.type] or 0))
        ]
        if not may:
            break
        best = sorted(may, key=lambda job: (-job.priority, job.position))[0]
        begun.append(best.job_id)
        waiting = [entry for entry in waiting if entry[0] is not best]
    return begun


@settings(max_examples=80)
@given(
    JOBS, st.integers(1, 4), st.dictionaries(st.sampled_from(TYPES), st.integers(1, 3)), st.data()
)
def test_dispatch_is_what_the_specification_says(
    make_desk: Any,
    given_jobs: list[tuple[str, int, int | None]],
    concurrency: int,
    overrides: dict[str, int],
    data: st.DataObject,
) -> None:
    desk = make_desk()
    desk.ask(m.StopScheduler())
    desk.ask(m.ConfigureScheduler(set_concurrency=True, concurrency=concurrency, types=overrides))
    begin = desk.now
    known: list[tuple[Job, int | None]] = []
    for type_, priority, at_s in given_jobs:
        run_at = None if at_s is None else from_us(begin + at_s * S)
        (job,) = desk.submit({"type": type_, "priority": priority, "run_at": run_at})
        known.append((job, at_s))
    limits = {"a": None, "b": None, "one": 1, **overrides}
    for _ in range(20):
        if not known:
            break
        desk.ask(m.StartScheduler())
        now_s = (desk.now - begin) // S
        expected = naive_order(known, concurrency, limits, now_s)
        runs = sorted(desk.running(), key=lambda run: run.run_id)  # ids grow in dispatch order
        assert [run.job_id for run in runs] == expected
        # Everything that runs ends while nothing may start; then time goes on.
        desk.ask(m.StopScheduler())
        desk.decide(*[exited(run.run_id) for run in runs])
        known = [entry for entry in known if entry[0].job_id not in expected]
        desk.pass_s(data.draw(st.integers(0, 3)))
    assert all(not finding.breaches for finding in verify(desk.connection))
    desk.connection.close()


def test_order_holds_however_many_become_due_at_once(desk: Desk) -> None:
    soon = from_us(desk.now + S)
    desk.submit(*[{"type": "a", "run_at": soon} for _ in range(800)])
    (urgent,) = desk.submit(
        {"type": "a", "run_at": soon + timedelta(microseconds=1), "priority": 9}
    )
    desk.pass_s(60)
    decision = desk.decide(m.TimerFired())
    assert [run.job_id for run in desk.running()] == [urgent.job_id]
    assert decision.next_due is None


def test_what_has_expired_is_never_started_however_many_there_are(desk: Desk) -> None:
    desk.ask(m.StopScheduler())
    soon = from_us(desk.now + S)
    desk.submit(*[{"type": "a", "expires_at": soon} for _ in range(800)])
    late = soon + timedelta(microseconds=1)
    desk.submit({"type": "a", "expires_at": late, "priority": 9})
    desk.pass_s(60)
    desk.ask(m.StartScheduler())
    assert desk.running() == []


def test_what_must_be_waited_for(desk: Desk) -> None:
    desk.submit({"type": "a", "run_at": from_us(desk.now + 5 * S)})
    decision = desk.decide(submission("a"))
    assert decision.next_due == desk.now + 5 * S
    assert desk.decide(m.Reserve(ttl_s=3)).next_due == desk.now + 5 * S
    desk.finish()  # now the slot is held, for three seconds
    assert desk.decide(m.TimerFired()).next_due == desk.now + 3 * S


def test_an_expired_job_frees_no_slot_and_fills_none(desk: Desk) -> None:
    desk.submit("a")
    (job,) = desk.submit({"type": "a", "expires_at": from_us(desk.now + S)})
    desk.pass_s(1)
    desk.finish()
    assert desk.job(job).status is JobStatus.SKIPPED
    assert desk.running() == []


# ---- limits ------------------------------------------------------------------------------------


def test_never_more_at_once_than_slots(desk: Desk) -> None:
    desk.submit("a", "a", "a")
    assert len(desk.running()) == 1
    desk.ask(m.ConfigureScheduler(set_concurrency=True, concurrency=2, types={}))
    assert len(desk.running()) == 2
    desk.ask(m.ConfigureScheduler(set_concurrency=True, concurrency=None, types={}))
    assert len(desk.running()) == 2  # nothing that runs is ended
    desk.finish()
    assert len(desk.running()) == 1


def test_a_type_at_its_limit_lets_the_others_pass(make_desk: Any) -> None:
    desk = make_desk(concurrency=3)
    desk.submit("one", {"type": "one", "priority": 9}, "a", "b")
    assert [run.type for run in desk.running()] == ["one", "a", "b"]
    assert desk.core.setup.in_force(desk.connection).types["one"] == 1
    config = desk.ask(
        m.ConfigureScheduler(set_concurrency=False, concurrency=None, types={"one": 2})
    )
    assert (config.types["one"], config.overridden) == (2, ["types.one"])
    desk.finish()
    assert [run.type for run in desk.running()].count("one") == 1


def test_a_type_that_is_no_longer_configured_waits(desk: Desk) -> None:
    desk.ask(m.StopScheduler())
    (job,) = desk.submit("b")
    desk.ask(m.ReplaceSetup(setup=desk.setup("b"), changed=()))
    desk.ask(m.StartScheduler())
    assert desk.job(job).status is JobStatus.QUEUED


def test_stopped_means_nothing_starts_and_what_runs_goes_on(desk: Desk) -> None:
    desk.submit("a", "a")
    desk.ask(m.StopScheduler())
    assert len(desk.running()) == 1
    desk.finish()
    assert desk.running() == []
    desk.ask(m.StartScheduler())
    assert len(desk.running()) == 1


# ---- reservations and direct runs --------------------------------------------------------------


def test_running_then_direct_then_the_rest(desk: Desk) -> None:
    desk.submit("a", {"type": "a", "priority": 100})
    reserved = desk.direct()
    assert [run.type for run in desk.running()] == ["a"]
    desk.finish()
    (run,) = desk.running()
    assert (run.run_id, run.job_id, run.type) == (reserved.run_id, None, "b")
    desk.finish()
    assert [run.type for run in desk.running()] == ["a"]
    jobs_made = desk.connection.execute("SELECT count(*) FROM jobs").get
    assert jobs_made == 2  # a direct run makes none


def test_a_direct_run_does_not_need_the_scheduler_to_run(desk: Desk) -> None:
    desk.ask(m.StopScheduler())
    desk.submit("a")
    reserved = desk.direct()
    assert [run.run_id for run in desk.running()] == [reserved.run_id]


def test_a_held_slot_stays_empty_for_its_time(desk: Desk) -> None:
    held = desk.ask(m.Reserve(ttl_s=10))
    assert held.state == "HELD"
    desk.submit("a")
    desk.pass_s(9.999_999)
    desk.decide(m.TimerFired())
    assert desk.running() == []
    desk.pass_s(0.000_001)
    desk.decide(m.TimerFired())
    assert len(desk.running()) == 1


def test_a_released_slot_is_free_at_once(desk: Desk) -> None:
    held = desk.ask(m.Reserve(ttl_s=10))
    desk.submit("a")
    released = desk.ask(m.ReleaseReservation(reservation_id=held.reservation_id))
    assert (released.state, released.end_reason) == ("ENDED", "released")
    assert len(desk.running()) == 1
    again = desk.ask(m.ReleaseReservation(reservation_id=held.reservation_id))
    assert again == released


def test_claims_are_served_first_come_first_served(desk: Desk) -> None:
    desk.submit("a", "a")
    first, hold, last = desk.direct(), desk.ask(m.Reserve(ttl_s=5)), desk.direct()
    desk.finish()
    assert [run.run_id for run in desk.running()] == [first.run_id]
    desk.finish()
    assert desk.running() == []  # held
    desk.ask(m.ReleaseReservation(reservation_id=hold.reservation_id))
    assert [run.run_id for run in desk.running()] == [last.run_id]


def test_a_direct_run_whose_type_is_at_its_limit_makes_all_wait(make_desk: Any) -> None:
    desk = make_desk(concurrency=2)
    desk.submit("one")
    reserved = desk.direct("one")
    desk.submit("a")
    assert [run.type for run in desk.running()] == ["one"]
    desk.finish()
    assert {run.run_id for run in desk.running()} >= {reserved.run_id}
    assert [run.type for run in desk.running()] == ["one", "a"]


def test_who_goes_away_while_waiting_gives_the_claim_back(desk: Desk) -> None:
    desk.submit("a", "a")
    reserved = desk.direct()
    desk.decide(m.AbandonDirect(reserved=reserved))
    desk.finish()
    assert [run.type for run in desk.running()] == ["a"]


def test_who_goes_away_while_it_runs_cancels_it(desk: Desk) -> None:
    reserved = desk.direct()
    assert stopped(desk.decide(m.AbandonDirect(reserved=reserved))) == [(reserved.run_id, "cancel")]
    desk.finish()
    assert stopped(desk.decide(m.AbandonDirect(reserved=reserved))) == []


def test_a_direct_claim_is_not_the_operators_to_release(desk: Desk) -> None:
    desk.submit("a")
    reserved = desk.direct()
    message = m.ReleaseReservation(reservation_id=reserved.reservation_id)
    assert desk.refusal(message) == "wrong_state"
    assert desk.refusal(m.ReleaseReservation(reservation_id="rsv-none")) == "not_found"
