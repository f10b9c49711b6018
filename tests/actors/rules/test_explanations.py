"""The reasons against a Job, compared with what the dispatch really does next."""

from collections.abc import Callable
from itertools import count
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity import Identity
from actors.randomness import Randomness
from actors.rules.core import Core
from actors.rules.explanations import Rules, explain
from config.job_type import JobType
from config.setup import Setup
from headway.model.field import from_us
from headway.model.job import JobStatus, NewJob
from headway.model.run import RunStatus
from storage import queue_position, reservations, scheduler
from storage.intents import RunIntent, insert_run
from storage.jobs import insert_job, move
from storage.runs import Outcome, finish_run
from storage.transaction import Transaction, write_transaction

S = 1_000_000
NOW = 1_800_000_000 * S
TYPES = {
    "a": JobType(name="a", command=("true",)),
    "b": JobType(name="b", command=("true",)),
    "one": JobType(name="one", command=("true",), concurrency=1),
    "two": JobType(name="two", command=("true",), concurrency=2),
}
RULES = Rules(types=TYPES, concurrency=1, draining=False)


def put(tx: Transaction, job_id: str, type: str = "a", **fields: Any) -> str:
    insert_job(tx, job_id, NewJob(type=type, **fields), origin="api")
    return job_id


def begin(tx: Transaction, run_id: str, type: str = "a", **fields: Any) -> None:
    """A run that fills a slot, without a Job of its own."""
    intent = RunIntent(
        **{
            "run_id": run_id, "job_id": None, "type": type, "lane": "queue", "params": {},
            "timeout_s": 100.0, "boot_id": "b", **fields,
        }
    )  # fmt: skip
    insert_run(tx, intent, server_id="s", argv=[], eligible_at=tx.now)


def measure(connection: apsw.Connection, type: str, *seconds: float) -> None:
    """Runs of the type that took so long."""
    for n, took_s in enumerate(seconds):
        run_id = f"run-{type}-{n}"
        with write_transaction(connection, NOW - 1000 * S) as tx:
            begin(tx, run_id, type)
        with write_transaction(connection, NOW - 1000 * S + round(took_s * S)) as tx:
            finish_run(tx, run_id, Outcome(status=RunStatus.COMPLETED, exit_code=0))


def make_core(concurrency: int, shortage: Callable[[int], str | None] = lambda _: None) -> Core:
    numbers = count()
    return Core(
        setup=Setup(job_types=TYPES, concurrency=concurrency),
        identity=Identity(boot_id="b", server_id="s"),
        new_id=lambda kind: f"{kind}-{next(numbers)}",
        random=Randomness(bytes),
        shortage=shortage,
    )


def codes(connection: apsw.Connection, job_id: str, rules: Rules = RULES) -> list[str]:
    return [reason.code for reason in explain(connection, job_id, rules, NOW, 0).waiting]


# ---- reasons -----------------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.data())
def test_a_job_without_a_reason_is_one_that_the_next_dispatch_starts(
    fresh: Callable[[], apsw.Connection], data: st.DataObject
) -> None:
    connection = fresh()
    slots = data.draw(st.integers(1, 4), "slots")
    with write_transaction(connection, NOW) as tx:
        for n, type_ in enumerate(data.draw(st.lists(st.sampled_from(sorted(TYPES)), max_size=4))):
            begin(tx, f"run-x{n}", type_)
        for n, claim in enumerate(
            data.draw(st.lists(st.sampled_from(["hold", "a", "one"]), max_size=2), "claims")
        ):
            if claim == "hold":
                reservations.insert_hold(tx, f"rsv-{n}", ttl_s=5, server_id="s")
            else:
                reservations.insert_direct(
                    tx, f"rsv-{n}", run_id=f"run-d{n}", type=claim, params={}, server_id="s"
                )
        ids = [
            put(
                tx,
                f"job-{n}",
                type_,
                priority=priority,
                run_at=None if late is None else from_us(NOW + late * S),
                expires_at=None if expires is None else from_us(NOW + expires * S),
            )
            for n, (type_, priority, late, expires) in enumerate(
                data.draw(
                    st.lists(
                        st.tuples(
                            st.sampled_from(sorted(TYPES)),
                            st.integers(0, 2),
                            st.sampled_from([None, None, -3, 3]),
                            st.sampled_from([None, None, None, 5]),
                        ),
                        max_size=8,
                    ),
                    "jobs",
                )
            )
        ]
        scheduler.set_running(tx, data.draw(st.sampled_from([True, True, True, False]), "runs"))
        if data.draw(st.booleans(), "limited"):
            scheduler.override_type_limit(tx, "b", 1)
    draining = data.draw(st.sampled_from([False] * 4 + [True]), "draining")
    host = data.draw(st.sampled_from([None] * 4 + ["blocked", "short"]), "host")
    rules = Rules(types=TYPES, concurrency=slots, draining=draining, host_reason=host)
    reasons = {job_id: explain(connection, job_id, rules, NOW, 0) for job_id in ids}
    core = make_core(slots, lambda _: host if host == "short" else None)
    core._context.draining = rules.draining
    core._context.blocked = host if host == "blocked" else None
    core.decide(connection, NOW, [])
    started = {job_id for (job_id,) in connection.execute("SELECT job_id FROM job_runs") if job_id}
    assert {job_id for job_id, why in reasons.items() if not why.waiting} == started
    for why in reasons.values():
        assert (why.message == "it starts now") == (not why.waiting)


def test_every_reason_has_its_time(fresh: Callable[[], apsw.Connection]) -> None:
    connection = fresh()
    later = from_us(NOW + 60 * S)
    with write_transaction(connection, NOW) as tx:
        put(tx, "job-first", "one")
        put(tx, "job-second", "one")
        put(tx, "job-late", "a", run_at=later)
        put(tx, "job-gone", "gone")
    assert codes(connection, "job-first") == []
    assert codes(connection, "job-second") == ["jobs_ahead"]
    late = explain(connection, "job-late", RULES, NOW, 0)
    assert (late.waiting[0].code, late.waiting[0].until) == ("not_due", later)
    assert late.ahead is None
    assert "unknown_type" in codes(connection, "job-gone")
    with write_transaction(connection, NOW) as tx:
        begin(tx, "run-1", "one")
        scheduler.set_running(tx, False)
    why = explain(connection, "job-second", RULES, NOW, 0)
    assert [reason.code for reason in why.waiting] == [
        "scheduler_stopped", "no_free_slot", "type_limit",
    ]  # fmt: skip
    assert why.ahead == 1
    assert why.waiting[1].by == why.waiting[2].by == ("run-1",)
    assert "start it" in why.message
    with write_transaction(connection, NOW) as tx:
        reservations.insert_hold(tx, "rsv-1", ttl_s=5, server_id="s")
    assert "reservation" in codes(connection, "job-first")
    draining = Rules(types=TYPES, concurrency=1, draining=True)
    assert codes(connection, "job-first", draining)[0] == "draining"


def test_what_does_not_wait_is_said_to_run_or_to_have_ended(
    fresh: Callable[[], apsw.Connection],
) -> None:
    connection = fresh()
    with write_transaction(connection, NOW) as tx:
        put(tx, "job-1")
        move(tx, "job-1", JobStatus.QUEUED, JobStatus.RUNNING)
        begin(tx, "run-1", job_id="job-1")
    why = explain(connection, "job-1", RULES, NOW, 0)
    assert (why.waiting, why.message, why.ending) == ([], "it runs", None)
    measure(connection, "a", 10, 10, 10)
    why = explain(connection, "job-1", RULES, NOW + 4 * S, 0)
    assert why.ending is not None
    assert why.ending.end_at == from_us(NOW + 10 * S)
    with write_transaction(connection, NOW) as tx:
        move(tx, "job-1", JobStatus.RUNNING, JobStatus.FAILED)
    why = explain(connection, "job-1", RULES, NOW, 0)
    assert (why.waiting, why.message, why.ending) == ([], "it has ended: FAILED", None)


# ---- place -------------------------------------------------------------------------------------


def test_a_place_counts_what_goes_before(fresh: Callable[[], apsw.Connection]) -> None:
    connection = fresh()
    with write_transaction(connection, NOW) as tx:
        for n in range(30):
            put(tx, f"job-{n}", "ab"[n % 2], priority=n % 3)
    order = sorted(range(30), key=lambda n: (-(n % 3), n))
    for ahead, n in enumerate(order):
        why = explain(connection, f"job-{n}", RULES, NOW, 0)
        assert (why.ahead, why.ahead_exact) == (ahead, True)


def test_a_place_in_a_long_queue_is_exact_at_both_ends(
    fresh: Callable[[], apsw.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_position, "COUNTED_MAX", 10)
    connection = fresh()
    with write_transaction(connection, NOW) as tx:
        for n in range(50):
            put(tx, f"job-{n}", priority=50 - n)
    found = {n: explain(connection, f"job-{n}", RULES, NOW, 0) for n in (5, 10, 25, 39, 45, 49)}
    exact = {n: why.ahead for n, why in found.items() if why.ahead_exact}
    assert exact == {5: 5, 10: 10, 39: 39, 45: 45, 49: 49}
    assert found[25].ahead == 10
    assert "10 or more Jobs go before it" in found[25].message
    assert found[25].estimate is None


# ---- estimate ----------------------------------------------------------------------------------


def test_an_estimate_adds_up_what_goes_before(fresh: Callable[[], apsw.Connection]) -> None:
    connection = fresh()
    measure(connection, "a", *[10.0] * 20)
    with write_transaction(connection, NOW - 4 * S) as tx:
        begin(tx, "run-1", "a")
        ids = [put(tx, f"job-{n}") for n in range(3)]
    starts = [explain(connection, job_id, RULES, NOW, 0).estimate for job_id in ids]
    assert all(starts)
    assert [round((each.start_at - from_us(NOW)).total_seconds()) for each in starts if each] == [
        6, 16, 26,
    ]  # fmt: skip
    for each in starts:
        assert each is not None
        assert from_us(NOW) <= each.earliest <= each.start_at <= each.latest
    widths = [(each.latest - each.earliest).total_seconds() for each in starts if each]
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def test_without_a_measure_an_estimate_is_unknown(fresh: Callable[[], apsw.Connection]) -> None:
    connection = fresh()
    later = from_us(NOW + 90 * S)
    with write_transaction(connection, NOW) as tx:
        put(tx, "job-1")
        put(tx, "job-2")
        put(tx, "job-late", "b", run_at=later)
    first = explain(connection, "job-1", RULES, NOW, 0).estimate
    assert first is not None
    assert first.start_at == first.latest == from_us(NOW)
    assert explain(connection, "job-2", RULES, NOW, 0).estimate is None
    with write_transaction(connection, NOW) as tx:
        scheduler.set_running(tx, False)
    measure(connection, "a", 5.0)
    assert explain(connection, "job-2", RULES, NOW, 0).estimate is None


def test_a_job_that_is_not_due_starts_when_it_is(fresh: Callable[[], apsw.Connection]) -> None:
    connection = fresh()
    later = from_us(NOW + 90 * S)
    with write_transaction(connection, NOW) as tx:
        put(tx, "job-late", "b", run_at=later)
    found = explain(connection, "job-late", RULES, NOW, 0).estimate
    assert found is not None
    assert found.earliest == found.start_at == found.latest == later


@pytest.mark.parametrize("hold", ["held", "waiting"])
def test_a_reservation_delays_the_estimate(fresh: Callable[[], apsw.Connection], hold: str) -> None:
    connection = fresh()
    measure(connection, "a", 5.0)
    with write_transaction(connection, NOW) as tx:
        reservations.insert_hold(tx, "rsv-1", ttl_s=30, server_id="s")
        if hold == "held":
            reservations.hold(tx, "rsv-1")
        else:
            begin(tx, "run-1")
        put(tx, "job-1")
    found = explain(connection, "job-1", RULES, NOW, 0).estimate
    if hold == "held":
        assert found is not None
        assert (found.earliest, found.latest) == (from_us(NOW), from_us(NOW + 30 * S))
    else:
        assert found is None
