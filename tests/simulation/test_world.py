"""Some worlds in every test run, the seeds that once failed for ever; and a seed is a world."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.clients import ANSWERS
from tests.simulation.collecting import CALLS
from tests.simulation.faults import ENDS, KINDS
from tests.simulation.world import Tally, simulate

REGRESSIONS = Path(__file__).parent / "regressions.txt"
SEEDS_IN_TESTS = 8
SEEDS_UNTIL_ALL_MAX = 40
"""An orderly end that is interrupted comes in one world of twenty or so."""


def regressions() -> list[int]:
    """The seeds of regressions.txt: one a line, followed by what it found."""
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@cache
def world(seed: int) -> Tally:
    """The tally of one world, which is simulated once."""
    return simulate(seed)


@pytest.mark.parametrize("seed", range(SEEDS_IN_TESTS))
def test_a_world_holds(seed: int) -> None:
    tally = world(seed)
    assert tally.jobs >= 200
    assert sum(tally.faults.values()) >= 20
    assert tally.lives >= 2
    assert tally.runs


def test_everything_goes_wrong_and_is_asked_for_somewhere() -> None:
    missing = {*KINDS, *ENDS, *ANSWERS, *CALLS}
    for seed in range(SEEDS_UNTIL_ALL_MAX):
        tally = world(seed)
        seen = Counter(tally.faults) + Counter(tally.ends) + Counter(tally.asked)
        seen += Counter(tally.collected)
        missing -= seen.keys()
        if not missing:
            return
    assert missing == set()


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
