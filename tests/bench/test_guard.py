"""What counts as a fall, and what is kept."""

from pathlib import Path

import pytest

from bench import guard
from bench.result import Figure, Goal, Report, Result, at_least, at_most


def result(name: str, values: tuple[float, ...], goal: Goal | None, unit: str = "ratio") -> Result:
    return Result(
        bench="submit",
        report=Report((Figure(name, unit, values, goal),)),
        date="2026-01-02T03:04:05Z",
        commit="abc",
        machine={"cores": 2},
        command="python -m bench all --quick --keep",
        quick=True,
    )


@pytest.mark.parametrize(
    ("goal", "values", "has_fallen"),
    [
        (at_least(4), (0.1, 0.2, 2.0), False),  # the best round is near enough
        (at_least(4), (0.1, 0.2, 1.9), True),
        (at_least(4), (9.0,), False),
        (at_most(2), (4.5, 9.0), False),
        (at_most(2), (4.6, 9.0), True),
        (at_most(2), (0.1,), False),
        (None, (0.01,), False),  # nobody says which way is worse
        (at_least(1), (1.0,), False),  # it was far beyond its goal, and still meets it
        (at_least(1), (0.9,), True),
        (at_most(6), (6.0,), False),
        (at_most(6), (6.1,), True),
    ],
)
def test_a_ratio_has_fallen_when_its_best_round_is_a_third_worse(
    goal: Goal | None, values: tuple[float, ...], has_fallen: bool
) -> None:
    found = guard.fallen(result("r", values, goal), {"submit": {"r": 3.0}})
    assert bool(found) is has_fallen


def test_a_figure_that_is_no_ratio_is_not_guarded() -> None:
    slow = result("r", (1.0,), at_least(100), unit="/s")
    assert guard.fallen(slow, {"submit": {"r": 100.0}}) == {}


def test_a_new_ratio_has_nothing_to_fall_from() -> None:
    assert guard.fallen(result("new", (0.1,), at_least(1)), {"submit": {"r": 3.0}}) == {}
    assert guard.fallen(result("r", (0.1,), at_least(1)), {}) == {}


def test_the_sentence_says_what_fell_and_how_far() -> None:
    (sentence,) = guard.fallen(result("r", (0.5,), at_least(4)), {"submit": {"r": 3.0}}).values()
    assert sentence == "submit: r was 3, its best round is now 0.5 (goal ≥ 4)"


def test_keeping_one_bench_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "results" / "quick.json"
    assert guard.kept(file) == {}
    guard.keep([result("r", (1.0, 2.0, 9.0), at_least(1))], file)
    other = result("p", (4.0,), at_most(1))
    object.__setattr__(other, "bench", "idle")
    guard.keep([other], file)
    assert guard.kept(file) == {"submit": {"r": 2.0}, "idle": {"p": 4.0}}
