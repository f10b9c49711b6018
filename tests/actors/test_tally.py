"""What is counted only grows: past any window, and past crashes of the actor that counts."""

import math
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors import messages as m
from actors.stats import RUNS_PER_TYPE_MAX
from actors.tally import BOUNDS_S, Histogram, Tally
from storage.events import events_after
from tests.actors.house import House


@given(st.lists(st.floats(-10, 1e6)))
def test_each_duration_is_in_all_buckets_that_it_does_not_exceed(durations: list[float]) -> None:
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    assert list(histogram.buckets()) == [
        (bound, sum(seconds <= bound for seconds in durations)) for bound in BOUNDS_S
    ]
    assert math.isclose(histogram.sum_s, sum(max(0.0, s) for s in durations), abs_tol=1e-6)


def counts(tally: Tally) -> dict[Any, tuple[int, float]]:
    """Of every histogram how many durations there are, and their sum."""
    return {
        key: (list(histogram.buckets())[-1][1], histogram.sum_s)
        for key, histogram in [*tally.runs.items(), *tally.waits.items()]
    }


async def test_runs_are_counted_by_type_and_outcome(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=4)
    house.host.programs["b"] = program(lasts_s=2, exit_code=1)
    async with house.running() as context:
        for job in await house.submit("a", "a", "b"):
            await house.ended(job)
        await house.settled()
        assert counts(context.tally) == {
            ("a", "COMPLETED"): (2, 8.0),
            ("b", "FAILED"): (1, 2.0),
            "a": (2, 4.0),
            "b": (1, 8.0),
        }
        (last,) = await house.submit("a")
        await house.ended(last)
        await house.settled()
        ended = house.run(last).finished_at
        assert ended is not None
        assert context.tally.last_success["a"] == round(ended.timestamp() * 1e6)
        assert "b" not in context.tally.last_success


async def test_a_new_process_begins_at_zero(house: House) -> None:
    async with house.running() as context:
        (job,) = await house.submit("a")
        await house.ended(job)
        await house.settled()
        assert counts(context.tally)
    async with house.running() as context:
        assert counts(context.tally) == {}


async def test_neither_count_nor_sum_ever_decreases(house: House) -> None:
    """The old figures were of a window: its count stood still, and its sum went down."""
    async with house.running() as context:
        (job,) = await house.submit("a")
        await house.ended(job)
        await house.settled()
        seq = context.tally.last_seq
        (ended,) = (f for f in events_after(house.reader, 0, limit=99) if f.kind == "run.finished")
        rounds = RUNS_PER_TYPE_MAX + 100
        before = counts(context.tally)
        for number in range(rounds):
            data = ended.data.replace('"duration_s":1.0', f'"duration_s":{rounds - number}.0')
            event = ended._replace(seq=seq + 1 + number, data=data)
            context.events.publish([event])
            await house.settled()
            after = counts(context.tally)
            assert all(after[key] >= found for key, found in before.items())
            assert after["a", "COMPLETED"][0] == number + 2
            before = after


async def test_a_crash_of_the_actor_sets_nothing_back(house: House) -> None:
    async with house.running() as context:
        for _ in range(3):
            await trio.sleep(20)  # more crashes at once are not mended
            (job,) = await house.submit("a")
            await house.ended(job)
            before = counts(context.tally)
            await context.stats.tell(m.TimerFired())  # a bug: not for it
            await house.settled()
            after = counts(context.tally)
            assert all(after[key] >= found for key, found in before.items())
        assert counts(context.tally)["a", "COMPLETED"][0] == 3


async def test_what_memory_no_longer_has_is_read_from_the_table(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.stats.EVENTS_AT_ONCE", 2)
    async with house.running() as context:
        await house.lose("stats")
        for _ in range(2):
            (job,) = await house.submit("a")
            await house.ended(job)
        context.events._ring.clear()
        await house.revive("stats")
        assert counts(context.tally)["a", "COMPLETED"][0] == 2
        assert context.tally.last_seq == context.events.last_seq
