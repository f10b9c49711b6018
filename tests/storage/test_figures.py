"""Figures for a scrape are true, and cost the same however many Jobs there are."""

from collections.abc import Callable
from typing import Any

import apsw
import pytest

from headway.model.field import from_us
from headway.model.job import JobStatus
from headway.model.run import RunStatus
from storage import figures
from storage.figures import (
    NOT_YET_SOUGHT,
    QueueLength,
    Success,
    queue_by_type,
    seek_success,
    submitted,
    waits_since,
)
from storage.jobs import move
from storage.runs import Outcome, finish_run

S = 1_000_000


def test_the_queue_by_type(connection: apsw.Connection, write: Any, put: Any, now: int) -> None:
    later = from_us(now + 60 * S)
    with write() as tx:
        for type_name, run_at in (("a", None), ("a", None), ("a", later), ("b", later)):
            put(tx, type=type_name, run_at=run_at)
        gone = put(tx, type="c")
        move(tx, gone.job_id, JobStatus.QUEUED, JobStatus.CANCELLED)
    assert queue_by_type(connection) == {"a": QueueLength(2, 1), "b": QueueLength(0, 1)}
    assert submitted(connection) == 5


def test_an_empty_database(connection: apsw.Connection) -> None:
    assert (queue_by_type(connection), submitted(connection)) == ({}, 0)
    assert waits_since(connection, "a") is None
    assert seek_success(connection, "a", NOT_YET_SOUGHT) == Success()


def test_the_longest_waiting_of_those_that_go_first(
    connection: apsw.Connection, write: Any, put: Any, now: int
) -> None:
    def since() -> int | None:
        return waits_since(connection, "a")

    with write(now) as tx:
        put(tx, type="a", priority=50, run_at=from_us(now + 9 * S))  # not eligible
        put(tx, type="b")
    assert since() is None
    with write(now + 5 * S) as tx:
        put(tx, type="a", priority=100)
    assert since() == now + 5 * S
    with write(now + 3 * S) as tx:
        put(tx, type="a", priority=0, run_at=from_us(now + 1 * S))  # was due when it came
        put(tx, type="a", priority=0)
    assert since() == now + 3 * S
    with write(now + 2 * S) as tx:
        put(tx, type="a", priority=7)
    assert since() == now + 2 * S


@pytest.fixture
def end(write: Any, put: Any, intend: Any) -> Callable[..., None]:
    """End runs of type a at one moment, with these statuses."""
    numbers = iter(range(10_000))

    def end(at: int, *statuses: RunStatus) -> None:
        with write(at) as tx:
            for status in statuses:
                run_id = f"run-{next(numbers):05}"
                intend(tx, run_id, type="a", lane="direct")
                finish_run(tx, run_id, Outcome(status=status))

    return end


def test_the_last_success(connection: apsw.Connection, end: Any, now: int) -> None:
    end(now + 1 * S, RunStatus.COMPLETED)
    end(now + 2 * S, RunStatus.COMPLETED, RunStatus.FAILED)
    end(now + 3 * S, RunStatus.FAILED, RunStatus.SKIPPED)
    found = seek_success(connection, "a", NOT_YET_SOUGHT)
    assert found == Success(ended_at=now + 2 * S)
    assert seek_success(connection, "a", found) == found
    assert seek_success(connection, "b", NOT_YET_SOUGHT) == Success()


@pytest.mark.parametrize("has_success", [True, False])
def test_a_long_search_goes_on_where_it_was(
    connection: apsw.Connection,
    end: Any,
    now: int,
    monkeypatch: pytest.MonkeyPatch,
    has_success: bool,
) -> None:
    monkeypatch.setattr(figures, "SOUGHT_RUNS_MAX", 4)
    if has_success:
        end(now, RunStatus.COMPLETED)
    end(now + 1 * S, *[RunStatus.FAILED] * 11)  # of one moment, as a batch is
    end(now + 2 * S, *[RunStatus.CANCELLED] * 9)
    so_far, steps = NOT_YET_SOUGHT, 0
    while so_far.before is not None:
        so_far = seek_success(connection, "a", so_far)
        steps += 1
    assert so_far == Success(ended_at=now if has_success else None)
    assert steps == 6


def test_no_scrape_walks_the_queue_or_the_history(
    connection: apsw.Connection, spied: Any, plan: Any
) -> None:
    seen = spied(connection)
    queue_by_type(connection)
    submitted(connection)
    waits_since(connection, "a")
    seek_success(connection, "a", NOT_YET_SOUGHT)
    connection.exec_trace = None
    assert len(seen) == 4
    for sql, bindings in seen:
        steps = plan(connection, sql, bindings).splitlines()
        growing = [step for step in steps if "job_counts" not in step and "sqlite_seq" not in step]
        assert all(step.startswith("SEARCH ") and " USING INDEX " in step for step in growing), sql
