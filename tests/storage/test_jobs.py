"""Jobs in SQL: what is stored comes back, no forbidden transition can be written, the right one is
next, and every question that is asked often walks an index."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.model.field import from_us
from headway.model.job import TRANSITIONS, Job, JobPatch, JobStatus, Progress
from headway.model.problem import Refusal
from storage import jobs
from storage.job_row import HOLDS
from storage.jobs import find_job, next_due, next_eligible, patch_job
from storage.transaction import write_transaction
from tests.storage.job_status import Q, R, force

S = 1_000_000


def test_what_is_queued_comes_back_as_it_was_answered(
    connection: apsw.Connection, write: Any, put: Any, now: int
) -> None:
    with write() as tx:
        plain = put(tx)
        rich = put(
            tx,
            params={"topic": "바다", "n": [1, 2.5, None, True]},
            priority=100,
            run_at=from_us(now + S),
            expires_at=from_us(now + 2 * S),
            name="이름",
            labels={"team": "a=b", "empty": ""},
            timeout_s=0.5,
            origin="retry",
            retry_of=plain.job_id,
        )
    assert find_job(connection, plain.job_id) == plain
    assert find_job(connection, rich.job_id) == rich
    assert (rich.position, rich.version, rich.status) == (plain.position + 1, 1, Q)


def test_submitting_is_an_event(write: Any, put: Any, now: int) -> None:
    with write() as tx:
        job = put(tx, run_at=from_us(now + S))
    (event,) = tx.events
    assert (event.kind, event.job_id) == ("job.submitted", job.job_id)
    assert '"hold":"time"' in event.data


def test_a_job_that_is_not_there(connection: apsw.Connection) -> None:
    with pytest.raises(Refusal) as caught:
        find_job(connection, "job-none")
    assert caught.value.code == "not_found"


def test_a_position_is_never_used_again(connection: apsw.Connection, write: Any, put: Any) -> None:
    with write() as tx:
        last = put(tx)
    connection.execute("DELETE FROM jobs")
    with write() as tx:
        assert put(tx).position == last.position + 1


@pytest.mark.parametrize(("before", "after"), list(product(JobStatus, JobStatus)))
def test_the_table_decides_what_can_be_written(
    connection: apsw.Connection, write: Any, put: Any, before: JobStatus, after: JobStatus
) -> None:
    with write() as tx:
        job = put(tx)
    force(connection, job.job_id, before)
    was = find_job(connection, job.job_id)
    if after in TRANSITIONS[before]:
        with write() as tx:
            jobs.move(tx, job.job_id, before, after, reason="why")
        now_is = find_job(connection, job.job_id)
        assert (now_is.status, now_is.version, now_is.reason) == (after, was.version + 1, "why")
        assert (now_is.finished_at is None) == (after is R)
        assert now_is.started_at == (from_us(tx.now) if after is R else was.started_at)
    else:
        with pytest.raises(AssertionError, match="not in the table"), write() as tx:
            jobs.move(tx, job.job_id, before, after)
        assert find_job(connection, job.job_id) == was


@pytest.mark.parametrize(
    ("is_", "believed"), [pair for pair in product(JobStatus, (Q, R)) if pair[0] != pair[1]]
)
def test_sql_looks_at_the_status_that_is_left(
    connection: apsw.Connection, write: Any, put: Any, is_: JobStatus, believed: JobStatus
) -> None:
    with write() as tx:
        job = put(tx)
    force(connection, job.job_id, is_)
    was = find_job(connection, job.job_id)
    for after in TRANSITIONS[believed]:
        with pytest.raises(AssertionError, match=f"was not {believed}"), write() as tx:
            jobs.move(tx, job.job_id, believed, after)
    assert find_job(connection, job.job_id) == was


QUEUED_JOB = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 3),
    st.none() | st.integers(-5, 5),  # run_at, seconds from now
    st.sampled_from([Q, Q, Q, R, JobStatus.COMPLETED]),
)


@given(st.lists(QUEUED_JOB, max_size=12), st.sets(st.sampled_from(["a", "b", "c", "z"])))
def test_next_is_the_highest_priority_then_the_earliest(
    fresh: Callable[[], apsw.Connection],
    put: Any,
    now: int,
    given_jobs: list[tuple[str, int, int | None, JobStatus]],
    types: set[str],
) -> None:
    connection = fresh()
    made: list[Job] = []
    with write_transaction(connection, now) as tx:
        for type_, priority, in_s, _ in given_jobs:
            run_at = None if in_s is None else from_us(now) + timedelta(seconds=in_s)
            made.append(put(tx, type=type_, priority=priority, run_at=run_at))
    eligible = []
    for job, (_, _, in_s, status) in zip(made, given_jobs, strict=True):
        force(connection, job.job_id, status)
        if status is Q and job.type in types and (in_s is None or in_s <= 0):
            eligible.append(job)
    with write_transaction(connection, now) as tx:
        found = next_eligible(tx, sorted(types))
    expected = min(eligible, key=lambda job: (-job.priority, job.position), default=None)
    assert found == expected
    connection.close()


def test_the_head_of_the_queue_is_one_step_down_an_index(
    connection: apsw.Connection, write: Any, put: Any, spied: Any, plan: Any
) -> None:
    with write() as tx:
        put(tx)
        seen = spied(connection)
        next_eligible(tx, ["story"])
    head, whole = (plan(connection, *statement) for statement in seen)
    assert head == "SEARCH jobs USING COVERING INDEX jobs_eligible (type=?)"
    assert whole == "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"


@pytest.mark.parametrize("hold", [*HOLDS[1:], "a reason of tomorrow"])
def test_what_is_held_costs_the_dispatch_nothing(
    connection: apsw.Connection, write: Any, put: Any, hold: str
) -> None:
    """Also where all of it would go first: it is not in the index."""

    def steps() -> int:
        taken: list[int] = []

        def count() -> bool:
            taken.append(1)
            return False

        with write() as tx:
            connection.set_progress_handler(count, 1)
            assert (job := next_eligible(tx, ["story"])) is not None
            connection.set_progress_handler(None)
        assert job.job_id == "job-free"
        return len(taken)

    with write() as tx:
        put(tx, "job-free")
    alone = steps()
    with write() as tx:
        for _ in range(300):
            held = put(tx, priority=9)
            tx.execute("UPDATE jobs SET hold = ? WHERE job_id = ?", (hold, held.job_id))
    assert steps() == alone


def test_it_is_planned_once_and_not_anew_for_each_type(
    connection: apsw.Connection, write: Any, put: Any
) -> None:
    planned: list[int] = []

    def authorize(operation: int, *_: str | None) -> int:
        """Asked when a statement is planned."""
        planned.append(operation)
        return apsw.SQLITE_OK

    connection.authorizer = authorize
    with write() as tx:
        put(tx)
        next_eligible(tx, ["story"])
        assert planned
        planned.clear()
        next_eligible(tx, ["research", "story"])
        assert not planned


def test_the_next_moment_is_the_earliest_of_both_kinds(write: Any, put: Any, now: int) -> None:
    with write() as tx:
        assert next_due(tx.connection) is None
        put(tx, run_at=from_us(now - S))  # due already: no moment to wait for
        assert next_due(tx.connection) is None
        put(tx, expires_at=from_us(now + 9 * S))
        assert next_due(tx.connection) == now + 9 * S
        put(tx, run_at=from_us(now + 5 * S))
        assert next_due(tx.connection) == now + 5 * S


def test_the_next_moment_is_read_from_indexes(
    connection: apsw.Connection, write: Any, put: Any, spied: Any, plan: Any
) -> None:
    with write() as tx:
        put(tx)
        seen = spied(connection)
        next_due(tx.connection)
    by_run_at, by_expires_at = (plan(connection, *statement) for statement in seen)
    assert "USING COVERING INDEX jobs_run_at" in by_run_at
    assert "USING COVERING INDEX jobs_expires_at" in by_expires_at


def test_due_jobs_become_eligible_the_earliest_first(write: Any, put: Any, now: int) -> None:
    with write() as tx:
        made = [put(tx, run_at=from_us(now + n * S)) for n in (3, 1, 2, 4)]
    with write(now + 3 * S) as tx:
        jobs.promote_due(tx)
        assert next_due(tx.connection) == now + 4 * S
    assert [(f.kind, f.job_id) for f in tx.events] == [
        ("job.due", made[n].job_id) for n in (1, 2, 0)
    ]


def test_a_job_expires_at_its_moment_and_not_before(
    connection: apsw.Connection, write: Any, put: Any, now: int
) -> None:
    with write() as tx:
        job, other = put(tx, expires_at=from_us(now + S)), put(tx)
    with write(now + S - 1) as tx:
        jobs.skip_expired(tx)
        assert tx.events == []
    with write(now + S) as tx:
        jobs.skip_expired(tx)
    found = find_job(connection, job.job_id)
    assert (found.status, found.started_at) == (JobStatus.SKIPPED, None)
    assert found.reason is not None
    assert "expired" in found.reason
    assert find_job(connection, other.job_id).status is Q


def test_a_patch_changes_what_it_names_only(
    connection: apsw.Connection, write: Any, put: Any, now: int
) -> None:
    with write() as tx:
        job = put(tx, name="old", labels={"a": "1"}, run_at=from_us(now + S), priority=5)
        changed = patch_job(tx, job, JobPatch(priority=7))
    assert changed == job.model_copy(update={"priority": 7, "version": 2})
    with write() as tx:
        changed = patch_job(tx, changed, JobPatch(run_at=None, name=None, labels={"b": "2"}))
    assert (changed.run_at, changed.name, changed.labels) == (None, None, {"b": "2"})
    labels = [label for (label,) in connection.execute("SELECT label FROM job_labels")]
    assert labels == ["b=2"]


@pytest.mark.parametrize(("first_s", "then_s"), [(None, 5), (5, None), (5, -5), (-5, 5)])
def test_a_new_run_at_defers_or_frees(
    write: Any, put: Any, now: int, first_s: int | None, then_s: int | None
) -> None:
    def moment(in_s: int | None) -> Any:
        return None if in_s is None else from_us(now + in_s * S)

    with write() as tx:
        job = put(tx, run_at=moment(first_s))
        patch_job(tx, job, JobPatch(run_at=moment(then_s)))
        found = next_eligible(tx, ["story"])
        waits = next_due(tx.connection)
    assert (found is None) == (then_s == 5)
    assert (waits is None) == (then_s != 5)


@pytest.mark.parametrize("status", [status for status in JobStatus if status is not Q])
def test_only_a_queued_job_is_patched(
    connection: apsw.Connection, write: Any, put: Any, status: JobStatus
) -> None:
    with write() as tx:
        job = put(tx)
    force(connection, job.job_id, status)
    with pytest.raises(AssertionError, match="was not QUEUED"), write() as tx:
        patch_job(tx, job, JobPatch(priority=7))
    assert find_job(connection, job.job_id).priority == 0


def test_progress_belongs_to_a_running_job(
    connection: apsw.Connection, write: Any, put: Any
) -> None:
    with write() as tx:
        job = put(tx)
        jobs.move(tx, job.job_id, Q, R)
        jobs.write_progress(tx, job.job_id, Progress(fraction=0.5, message="half"))
        jobs.move(tx, job.job_id, R, JobStatus.COMPLETED)
        jobs.write_progress(tx, job.job_id, Progress(fraction=0.9, message="too late"))
    assert find_job(connection, job.job_id).progress == Progress(fraction=0.5, message="half")
    assert [event.kind for event in tx.events] == ["job.submitted", "job.progress"]


def test_a_queued_job_is_cancelled_or_skipped_with_an_event(
    connection: apsw.Connection, write: Any, put: Any
) -> None:
    with write() as tx:
        one, two = put(tx), put(tx)
        jobs.cancel_queued(tx, one.job_id)
        jobs.skip_queued(tx, two.job_id, "because")
    assert find_job(connection, one.job_id).status is JobStatus.CANCELLED
    assert find_job(connection, two.job_id).reason == "because"
    assert [event.kind for event in tx.events][2:] == ["job.cancelled", "job.skipped"]
