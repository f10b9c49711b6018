"""Counters of this process for `/metrics`: they only grow.

They outlive the stats actor, which fills them, so that its crash sets nothing back and counts
nothing twice. A new process begins at zero, which Prometheus expects of counters; totals that
outlive a process are in the database (`storage/figures.py`).
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from math import inf

BOUNDS_S = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400, inf)
"""Upper bounds of the buckets, from a program that does nothing to a day."""


class Histogram:
    """Durations in seconds, counted by bucket."""

    def __init__(self) -> None:
        self._counts = [0] * len(BOUNDS_S)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration; a clock that was set back makes none negative."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += max(0.0, seconds)

    def buckets(self) -> Iterator[tuple[float, int]]:
        """(upper bound, how many durations are not longer); the last is how many there are."""
        return zip(BOUNDS_S, accumulate(self._counts), strict=True)


class Tally:
    """`last_seq`: the number of the last event that is counted, or was there before the process."""

    def __init__(self, last_seq: int = 0) -> None:
        self.last_seq = last_seq
        self.runs: dict[tuple[str, str], Histogram] = {}
        """By type and status: how long they ran."""
        self.waits: dict[str, Histogram] = {}
        """By type: how long the runs had waited until they started."""
        self.last_success: dict[str, int] = {}
        """By type: when (µs) the newest run of this process that is COMPLETED ended."""

    def add(
        self, type_name: str, status: str, *, waited_s: float, ran_s: float, finished_at: int
    ) -> None:
        """Count a run that has ended."""
        self.waits.setdefault(type_name, Histogram()).add(waited_s)
        self.runs.setdefault((type_name, status), Histogram()).add(ran_s)
        if status == "COMPLETED":
            before = self.last_success.get(type_name, 0)
            self.last_success[type_name] = max(before, finished_at)
