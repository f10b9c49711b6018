"""The idle time before each request of a latency measurement: the same for every side."""

import random
from collections.abc import Iterator

PAUSE_S = (0.05, 0.15)


def pauses(count: int) -> Iterator[float]:
    """`count` pauses in seconds, of lengths that match no polling interval."""
    source = random.Random(20_260_101)
    return (source.uniform(*PAUSE_S) for _ in range(count))
