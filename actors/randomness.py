"""Random numbers for the rules, from the bytes of the seam: a simulation repeats every draw.

What is drawn is stored with what it decides, so that a replay of the events draws nothing.
"""

from collections.abc import Callable

BITS = 53
"""As many as a float has."""


class Randomness:
    """`random_bytes`: `os.urandom` in production."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        drawn = int.from_bytes(self._random_bytes(7)) >> 3
        return low + (high - low) * drawn / (1 << BITS)
