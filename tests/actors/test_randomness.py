"""Random numbers from the seam: within their bounds, and the same again from the same bytes."""

import random

from hypothesis import given
from hypothesis import strategies as st

from actors.randomness import Randomness

BOUNDS = st.floats(0, 1e9)


@given(st.integers(), BOUNDS, BOUNDS)
def test_a_number_is_within_its_bounds(seed: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    drawn = Randomness(random.Random(seed).randbytes).uniform(low, high)
    assert low <= drawn <= high


@given(st.integers())
def test_the_same_seed_draws_the_same_again(seed: int) -> None:
    first, second = (Randomness(random.Random(seed).randbytes) for _ in range(2))
    drawn = [first.uniform(0, 60) for _ in range(20)]
    assert drawn == [second.uniform(0, 60) for _ in range(20)]
    assert len(set(drawn)) == 20


def test_the_ends_of_the_interval() -> None:
    assert Randomness(bytes).uniform(3, 5) == 3
    assert 4.999 < Randomness(lambda n: b"\xff" * n).uniform(3, 5) <= 5
