"""Arithmetic of estimates, against queues that are simple enough to follow by hand."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rules.estimate import Busy, Line, Span, left, start, work

SURE = {"a": [10.0] * 400, "b": [3.0] * 400}
"""Measured so often that the interval hardly matters."""


def starts(order: list[str], *, busy: Any = (), follow: bool = True, **given: Any) -> Span | None:
    line = Line(order=order if follow else None, counts=Counter(order))
    given = {"slots": 1, "limits": {}, "samples": SURE, **given}
    return start(line, given.pop("own", "a"), busy=list(busy), **given)


def runs(*seconds: float, type: str = "a") -> list[Busy]:
    return [Busy(type=type, left=Span(s, s, s)) for s in seconds]


@pytest.mark.parametrize("follow", [True, False])
def test_one_slot_is_a_sum(follow: bool) -> None:
    found = starts(["a", "b", "a"], busy=runs(4), follow=follow)
    assert found is not None
    assert found.mean == pytest.approx(27)
    assert 4 <= found.short < 27 < found.long


def test_two_slots_share_the_queue() -> None:
    found = starts(["a"], slots=2, busy=runs(5, 10))
    assert found is not None
    assert found.mean == pytest.approx(10), "the one ahead takes the first slot, this one the next"
    assert starts([], slots=2, busy=runs(5)) == Span(0, 0, 0)


def test_a_limit_holds_back_its_type_only() -> None:
    busy = runs(50, type="a")
    assert starts([], slots=2, busy=busy, limits={"a": 1}) == Span(50, 50, 50)
    assert starts([], slots=2, busy=busy, limits={"a": 1}, own="b") == Span(0, 0, 0)
    found = starts(["a", "a"], slots=2, busy=busy, limits={"a": 1}, own="b")
    assert found == Span(0, 0, 0), "those ahead cannot start, and are passed over"


def test_a_lowered_limit_waits_for_enough_to_end() -> None:
    assert starts([], slots=1, busy=runs(5, 7, 9)) == Span(9, 9, 9)
    found = starts([], slots=1, busy=runs(5, 7, 9), follow=False)
    assert found == Span(9, 9, 9)


def test_a_type_that_was_never_measured_makes_it_unknown() -> None:
    assert starts(["never"]) is None
    assert starts([], own="never") == Span(0, 0, 0)


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from("ab"), max_size=40),
    st.integers(1, 4),
    st.lists(st.floats(0, 30), max_size=4),
)
def test_the_flow_is_never_far_from_the_steps(
    order: list[str], slots: int, ends: list[float]
) -> None:
    step = starts(order, slots=slots, busy=runs(*ends))
    flow = starts(order, slots=slots, busy=runs(*ends), follow=False)
    assert step is not None
    assert flow is not None
    assert abs(step.mean - flow.mean) <= 10 + max(ends, default=0)
    assert step.short <= step.mean <= step.long


def test_a_sum_is_surer_than_its_parts() -> None:
    samples = [5.0, 15.0] * 50
    one, many = work(samples, 1), work(samples, 100)
    assert many.mean == pytest.approx(100 * one.mean)
    assert (many.long - many.mean) < 50 * (one.long - one.mean)
    assert work([10.0], 1).long > 20, "one measure is no certainty"


def test_what_a_run_has_left_depends_on_how_long_it_has_lasted() -> None:
    samples = sorted([1.0] * 50 + [100.0] * 50)
    assert left(samples, 0, 1000).mean == pytest.approx(50.5)
    assert left(samples, 2, 1000).mean == pytest.approx(98)
    assert left(samples, 200, 1000) == Span(0, 0, 800)
    assert left(samples, 2, 50).long <= 48
