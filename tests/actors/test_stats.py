"""Figures from events: percentiles, rates, and the same again after a restart."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import messages as m
from actors.stats import RUNS_PER_TYPE_MAX, _Sample, percentiles, summary
from storage.database import open_writer, transaction
from storage.runs import last_runs
from tests.actors.house import House
from web.context import Context

S = 1_000_000
VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


@given(VALUES)
def test_percentiles_are_by_nearest_rank(values: list[float]) -> None:
    found = percentiles(values)
    for p in (50, 95, 99):
        smallest = min(
            value
            for value in values
            if sum(other <= value for other in values) * 100 >= p * len(values)
        )
        assert found[f"p{p}"] == smallest


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {}),
        ([7.0], {"p50": 7.0, "p95": 7.0, "p99": 7.0}),
        ([float(n) for n in range(1, 101)], {"p50": 50.0, "p95": 95.0, "p99": 99.0}),
        ([2.0, 1.0], {"p50": 1.0, "p95": 2.0, "p99": 2.0}),
    ],
)
def test_percentiles_by_hand(values: list[float], expected: dict[str, float]) -> None:
    assert percentiles(values) == expected


def test_a_summary_counts_by_status_and_by_time() -> None:
    samples = [
        _Sample(finished_at=n * 10 * S, status=status, wait_s=n, run_s=2.0)
        for n, status in enumerate(["COMPLETED", "FAILED", "COMPLETED"])
    ]
    made = summary("a", samples, now=60 * S)
    assert (made.type, made.runs, made.by_status) == ("a", 3, {"COMPLETED": 2, "FAILED": 1})
    assert made.runs_per_minute == pytest.approx(3)


@pytest.mark.parametrize("now", [0, -5])
def test_no_time_no_rate(now: int) -> None:
    assert summary("a", [], now).runs_per_minute == 0
    assert summary("a", [_Sample(0, "COMPLETED", 0, 0)], now).runs_per_minute == 0


# ---- in the server -----------------------------------------------------------------------------


async def measured(context: Context) -> dict[str, Any]:
    return {entry.type: entry for entry in (await context.stats.ask(m.GetMetrics())).types}


async def some_history(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=4)
    house.host.programs["b"] = program(lasts_s=2, exit_code=1)
    for job in await house.submit("a", "a", "b"):
        await house.ended(job)


async def test_waiting_and_running_are_measured(house: House, program: Any) -> None:
    async with house.running() as context:
        await some_history(house, program)
        await house.settled()
        found = await measured(context)
        assert (found["a"].runs, found["b"].runs, found["one"].runs) == (2, 1, 0)
        assert found["a"].wait_s == {"p50": 0.0, "p95": 4.0, "p99": 4.0}
        assert found["a"].run_s == {"p50": 4.0, "p95": 4.0, "p99": 4.0}
        assert (found["b"].wait_s["p50"], found["b"].by_status) == (8.0, {"FAILED": 1})
        assert all(not math.isnan(entry.runs_per_minute) for entry in found.values())


async def test_a_restart_rebuilds_what_was_measured(house: House, program: Any) -> None:
    async with house.running() as context:
        await some_history(house, program)
        await house.settled()
        before = await measured(context)
    async with house.running() as context:
        after = await measured(context)
    assert after == before


async def test_a_crash_of_its_own_counts_nothing_twice(house: House, program: Any) -> None:
    async with house.running() as context:
        await some_history(house, program)
        await house.settled()
        before = await measured(context)
        await context.stats.tell(m.TimerFired())  # a bug: not for stats
        await house.settled()
        assert await measured(context) == before
        (job,) = await house.submit("b")
        await house.ended(job)
        await house.settled()
        assert (await measured(context))["b"].runs == before["b"].runs + 1


async def test_runs_that_ended_while_it_was_down_count_once(house: House, program: Any) -> None:
    """The windows are rebuilt with them, and their events are still to be folded."""
    async with house.running() as context:
        await some_history(house, program)
        await house.settled()
        await house.lose("stats")
        (job,) = await house.submit("b")
        await house.ended(job)
        await house.revive("stats")
        after = await measured(context)
        assert (after["a"].runs, after["b"].runs) == (2, 2)


async def test_its_crash_restarts_nothing_else(house: House, program: Any) -> None:
    async with house.running() as context:
        await some_history(house, program)
        await context.stats.tell(m.TimerFired())  # a bug: not for it
        await house.settled()
        assert (await measured(context))["a"].runs == 2
        begun = "SELECT count(*) FROM events WHERE kind = 'server.started'"
        assert house.reader.execute(begun).get == 1


async def test_figures_are_as_of_the_last_published_event(house: House, program: Any) -> None:
    async with house.running() as context:
        await some_history(house, program)
        assert (await measured(context))["b"].runs == 1, "although it had no turn since"


async def test_the_window_is_bounded(house: House) -> None:
    rows = RUNS_PER_TYPE_MAX + 50
    async with house.running():
        pass
    connection = open_writer(house.path / "headway.db")
    with transaction(connection):
        connection.executemany(
            "INSERT INTO job_runs (run_id, type, lane, status, params_snapshot, argv, timeout_s,"
            " boot_id, server_id, eligible_at, started_at, finished_at)"
            " VALUES (?, 'a', 'direct', 'COMPLETED', '{}', '[]', 1, 'b', 's', 0, ?, ?)",
            [(f"run-{n}", n * S, 2 * n * S) for n in range(rows)],
        )
    connection.close()
    async with house.running() as context:
        found = (await measured(context))["a"]
    assert found.runs == RUNS_PER_TYPE_MAX
    assert found.wait_s["p99"] == found.run_s["p99"]
    assert min(found.wait_s.values()) >= 50  # the oldest have left


async def test_the_last_runs_are_read_from_an_index(house: House) -> None:
    seen: list[str] = []

    def trace(_: Any, sql: str, bindings: Any) -> bool:
        seen.extend(
            str(row[3])
            for row in house.headway._connections.writing.execute(
                f"EXPLAIN QUERY PLAN {sql}", bindings
            )
        )
        return True

    async with house.running() as context:
        context.reads.quick.connection.exec_trace = trace
        last_runs(context.reads.quick.connection, "a", 10)
        context.reads.quick.connection.exec_trace = None
    assert any("USING INDEX job_runs_finished (type=?" in step for step in seen), seen
