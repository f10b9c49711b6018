"""Some worlds in every test run, the seeds that once failed for ever; and a seed is a world."""

from pathlib import Path

import pytest

from tests.simulation.world import simulate

REGRESSIONS = Path(__file__).parent / "regressions.txt"
SEEDS_IN_TESTS = 8


def regressions() -> list[int]:
    """One seed a line; what follows it says what it found."""
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("seed", range(SEEDS_IN_TESTS))
def test_a_world_holds(seed: int) -> None:
    tally = simulate(seed)
    assert tally.jobs >= 200
    assert tally.faults >= 20
    assert tally.lives >= 2
    assert tally.runs


@pytest.mark.parametrize("seed", regressions())
def test_what_was_mended_stays_mended(seed: int) -> None:
    simulate(seed)


def test_the_same_seed_is_the_same_world() -> None:
    first: list[str] = []
    second: list[str] = []
    simulate(12345, first)
    simulate(12345, second)
    assert first == second
    assert len(first) > 500
