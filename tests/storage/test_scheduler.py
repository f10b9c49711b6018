"""The scheduler's durable state, and figures that always equal a recount."""

from collections import Counter
from typing import Any, ClassVar

import apsw
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headway.model.field import from_us
from headway.model.job import JobPatch, JobStatus, NewJob
from headway.model.run import RunStatus
from storage import intents, job_list, jobs, runs, scheduler
from storage.intents import RunIntent
from storage.runs import Outcome
from storage.transaction import Transaction, write_transaction

S = 1_000_000
ENDS = [status for status in RunStatus if status is not RunStatus.RUNNING]


def test_a_new_database_starts_running(connection: apsw.Connection) -> None:
    assert scheduler.is_running(connection)


def test_saying_it_again_leaves_no_event(connection: apsw.Connection, write: Any) -> None:
    with write() as tx:
        for running in (True, False, False, True):
            scheduler.set_running(tx, running)
    assert [event.kind for event in tx.events] == ["scheduler.stopped", "scheduler.started"]


def test_limits_are_set_and_go_back(connection: apsw.Connection, write: Any) -> None:
    assert scheduler.overrides(connection) == (None, {})
    with write() as tx:
        scheduler.override_concurrency(tx, 3)
        scheduler.override_type_limit(tx, "a", 2)
        scheduler.override_type_limit(tx, "a", 4)
        scheduler.override_type_limit(tx, "b", 1)
    assert scheduler.overrides(connection) == (3, {"a": 4, "b": 1})
    with write() as tx:
        scheduler.override_concurrency(tx, None)
        scheduler.override_type_limit(tx, "a", None)
    assert scheduler.overrides(connection) == (None, {"b": 1})


def test_the_status_at_one_moment(
    connection: apsw.Connection, write: Any, put: Any, intend: Any, now: int
) -> None:
    with write() as tx:
        put(tx)
        put(tx, run_at=from_us(now + S))
        for job_id in ("job-y", "job-x"):
            put(tx, job_id)
            jobs.move(tx, job_id, JobStatus.QUEUED, JobStatus.RUNNING)
        intend(tx, "run-1", job_id="job-y")
        intend(tx, "run-2", job_id="job-x")
        intend(tx, "run-0", lane="direct")
        jobs.cancel_queued(tx, put(tx).job_id)
        scheduler.set_running(tx, False)
    status = scheduler.read_status(connection, types={"story"}, concurrency=4, started_at=now)
    assert (status.queue_length, status.eligible, status.deferred) == (2, 1, 1)
    assert status.unconfigured == {}
    assert (status.current_job_id, status.running_job_ids) == ("job-y", ["job-y", "job-x"])
    assert not status.scheduler_running
    assert not status.has_active_reservation
    assert status.concurrency == 4
    assert status.cumulative_stats.cancelled == 1
    assert status.started_at == from_us(now)


def test_jobs_of_types_that_are_not_configured_are_counted_apart(
    connection: apsw.Connection, write: Any, put: Any, now: int
) -> None:
    with write() as tx:
        for type_name in ("a", "b", "c"):
            put(tx, type=type_name)
            put(tx, type=type_name, run_at=from_us(now + S))
        jobs.cancel_queued(tx, put(tx, type="d").job_id)
    status = scheduler.read_status(connection, types={"b"}, concurrency=1, started_at=now)
    assert (status.queue_length, status.eligible, status.deferred) == (6, 1, 1)
    assert status.unconfigured == {"a": 2, "c": 2}
    assert scheduler.queue_length(connection) == 6


# ---- counts are kept, and equal a recount ------------------------------------------------------


class Life(RuleBasedStateMachine):
    """After any sequence of changes the kept figures equal a recount."""

    blank: ClassVar[bytes]

    def __init__(self) -> None:
        super().__init__()
        self.connection = apsw.Connection(":memory:")
        self.connection.deserialize("main", self.blank)
        self.now = 1_800_000_000_000_000
        self.made = 0

    def teardown(self) -> None:
        self.connection.close()

    def ids(self, status: str) -> list[str]:
        rows = self.connection.execute("SELECT job_id FROM jobs WHERE status = ?", (status,))
        return [job_id for (job_id,) in rows]

    def tx(self) -> Transaction:
        return Transaction(self.connection, self.now)

    @rule(type_=st.sampled_from("ab"), in_s=st.none() | st.integers(-1, 3))
    def submit(self, type_: str, in_s: int | None) -> None:
        self.made += 1
        run_at = None if in_s is None else from_us(self.now + in_s * S)
        new = NewJob(type=type_, run_at=run_at)
        jobs.insert_job(self.tx(), f"job-{self.made}", new, origin="api")

    @precondition(lambda self: self.ids("QUEUED"))
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(self.ids("QUEUED")))
        tx = self.tx()
        jobs.move(tx, job_id, JobStatus.QUEUED, JobStatus.RUNNING)
        intent = RunIntent(
            run_id=f"run-of-{job_id}",
            job_id=job_id,
            type="a",
            lane="queue",
            params={},
            timeout_s=1.0,
            boot_id="b",
        )
        intents.insert_run(tx, intent, server_id="s", argv=[], eligible_at=self.now)

    @precondition(lambda self: self.ids("RUNNING"))
    @rule(data=st.data(), status=st.sampled_from(ENDS), again=st.booleans())
    def finish(self, data: st.DataObject, status: RunStatus, again: bool) -> None:
        job_id = data.draw(st.sampled_from(self.ids("RUNNING")))
        tx = self.tx()
        assert runs.finish_run(tx, f"run-of-{job_id}", Outcome(status=status))
        jobs.move(tx, job_id, JobStatus.RUNNING, JobStatus(status.value))
        if again:
            runs.finish_run(tx, f"run-of-{job_id}", Outcome(status=status))

    @precondition(lambda self: self.ids("QUEUED"))
    @rule(data=st.data(), skip=st.booleans())
    def give_up(self, data: st.DataObject, skip: bool) -> None:
        job_id = data.draw(st.sampled_from(self.ids("QUEUED")))
        if skip:
            jobs.skip_queued(self.tx(), job_id, "why not")
        else:
            jobs.cancel_queued(self.tx(), job_id)

    @precondition(lambda self: self.ids("QUEUED"))
    @rule(data=st.data(), in_s=st.none() | st.integers(-1, 3))
    def patch(self, data: st.DataObject, in_s: int | None) -> None:
        job_id = data.draw(st.sampled_from(self.ids("QUEUED")))
        run_at = None if in_s is None else from_us(self.now + in_s * S)
        job = jobs.find_job(self.connection, job_id)
        jobs.patch_job(self.tx(), job, JobPatch(run_at=run_at))

    @rule(seconds=st.integers(0, 2))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * S
        jobs.promote_due(self.tx())

    @invariant()
    def kept_equals_counted(self) -> None:
        rows = list(self.connection.execute("SELECT type, status, hold FROM jobs"))
        kept = self.connection.execute("SELECT type, status, hold, n FROM job_counts")
        assert {tuple(key): n for *key, n in kept if n} == Counter(rows)
        queued = Counter(hold for _, status, hold in rows if status == "QUEUED")
        assert scheduler.queue_length(self.connection) == queued["none"] + queued["time"]
        counts = scheduler.queue_counts(self.connection, {"a", "b"})
        assert (counts.eligible, counts.deferred) == (queued["none"], queued["time"])
        by_status = Counter(status for _, status, _ in rows)
        assert job_list.count_by_status(self.connection) == {
            s.value: by_status[s] for s in JobStatus
        }

    @invariant()
    def figures_equal_a_recount(self) -> None:
        kept = scheduler.cumulative_stats(self.connection)
        assert kept == scheduler.recounted_stats(self.connection)
        ended = [
            status
            for (status,) in self.connection.execute("SELECT status FROM job_runs")
            if status != "RUNNING"
        ]
        assert kept.total_executed == len(ended)
        assert kept.skipped == ended.count("SKIPPED")
        assert kept.cancelled == len(self.ids("CANCELLED"))

    @invariant()
    def events_have_no_gap(self) -> None:
        first, last, n = self.connection.execute(
            "SELECT min(seq), max(seq), count(*) FROM events"
        ).get or (1, 0, 0)
        assert (first, last) in ((1, n), (None, None))


def test_kept_figures_equal_a_recount(blank: bytes) -> None:
    Life.blank = blank
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Life, settings=settings(max_examples=30, stateful_step_count=20, deadline=None)
    )


def test_a_rolled_back_transaction_leaves_its_counts(
    connection: apsw.Connection, put: Any, now: int
) -> None:
    with pytest.raises(ZeroDivisionError), write_transaction(connection, now) as tx:  # noqa: PT012 - what comes before the error is taken back
        put(tx)
        _ = 1 / 0
    assert scheduler.queue_length(connection) == 0
