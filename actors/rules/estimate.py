"""Estimate when a Job will start, from measured durations alone: no database, no clock.

Three futures are followed, with short, mean and long durations. What is summed up varies less than
its parts, so n Jobs of a type are given their sum's interval and not n times one Job's. The
interval is meant to hold nine times in ten.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import sqrt
from typing import NamedTuple

STEPPED_MAX = 256
"""Jobs ahead that are followed one by one; more are taken for an even flow."""

_NINE_IN_TEN = 1.645  # standard deviations to either side


class Span(NamedTuple):
    """A duration in seconds: the shortest, the expected and the longest."""

    short: float
    mean: float
    long: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """What fills a slot: a run of `type` (None: a reservation), and for how long yet."""

    type: str | None
    left: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What goes before the Job: `order` if it is short, else None; `counts` by type always."""

    order: Sequence[str] | None
    counts: Mapping[str, int]


def work(samples: Sequence[float], n: int) -> Span:
    """How long `n` runs take together, one after another."""
    m = len(samples)
    mean = sum(samples) / m
    # One more imagined sample, as far from the mean as zero: a single measure is no certainty.
    variance = (sum((sample - mean) ** 2 for sample in samples) + mean**2) / m
    spread = _NINE_IN_TEN * sqrt(n * variance + n**2 * variance / m)
    return Span(max(0.0, n * mean - spread), n * mean, n * mean + spread)


def left(samples: Sequence[float], elapsed_s: float, timeout_s: float) -> Span:
    """How long a run goes on that has lasted `elapsed_s`. `samples` in ascending order."""
    bound = max(0.0, timeout_s - elapsed_s)
    longer = [sample - elapsed_s for sample in samples if sample > elapsed_s]
    if not longer:
        return Span(0.0, 0.0, bound)  # longer than any before: from one moment to the next
    # Beyond what was seen lies as much again as for a measure that was never made.
    last = len(longer) - 1
    long = longer[round(last * 0.95)] if last else longer[0] * 2
    return Span(
        longer[round(last * 0.05)] if last else 0.0, sum(longer) / len(longer), min(long, bound)
    )


def start(
    line: Line,
    own_type: str,
    *,
    slots: int,
    busy: Sequence[Busy],
    limits: Mapping[str, int | None],
    samples: Mapping[str, Sequence[float]],
) -> Span | None:
    """In how many seconds the Job behind `line` starts; None if a type was never measured.

    `busy` may hold more than `slots` if the limit was lowered since they started.
    """
    if any(not samples.get(type_) for type_, n in line.counts.items() if n):
        return None
    each = {type_: work(samples[type_], n) for type_, n in line.counts.items() if n}
    futures = []
    for index in range(3):
        one = {type_: span[index] / line.counts[type_] for type_, span in each.items()}
        ends = [(entry.left[index], entry.type) for entry in busy]
        if line.order is not None:
            futures.append(_stepped([*line.order, own_type], ends, slots, limits, one))
        else:
            futures.append(_flowing(line, own_type, ends, slots, limits, one))
    return Span(*sorted(futures))


def _stepped(
    order: list[str],
    ends: list[tuple[float, str | None]],
    slots: int,
    limits: Mapping[str, int | None],
    durations: Mapping[str, float],
) -> float:
    """When the last of `order` starts, if each free slot takes the first whose type has room."""
    now = 0.0
    running = [(end, type_ or "") for end, type_ in ends]
    heapify(running)
    counts = Counter(type_ for _, type_ in running)
    while True:
        found = None
        if len(running) < slots:
            found = next(
                (i for i, type_ in enumerate(order) if _has_room(type_, counts, limits)), None
            )
        if found is None:
            if not running:
                return now  # its type's limit is filled by runs that are not among these
            now, ended = heappop(running)
            counts[ended] -= 1
        elif found == len(order) - 1:
            return now
        else:
            type_ = order.pop(found)
            counts[type_] += 1
            heappush(running, (now + durations[type_], type_))


def _has_room(type_: str, counts: Counter[str], limits: Mapping[str, int | None]) -> bool:
    limit = limits.get(type_)
    return limit is None or counts[type_] < limit


def _flowing(
    line: Line,
    own_type: str,
    ends: list[tuple[float, str | None]],
    slots: int,
    limits: Mapping[str, int | None],
    durations: Mapping[str, float],
) -> float:
    """The same for a long line: the slots, and those that each type may have, share it evenly."""
    total = sum(n * durations[type_] for type_, n in line.counts.items() if n)
    at = _level(slots, [end for end, _ in ends], total)
    if (limit := limits.get(own_type)) is not None:
        own = line.counts.get(own_type, 0) * durations.get(own_type, 0.0)
        at = max(at, _level(limit, [end for end, type_ in ends if type_ == own_type], own))
    return at


def _level(slots: int, ends: Iterable[float], amount: float) -> float:
    """To which moment `amount` seconds of work fill slots that are busy until `ends`."""
    heights = sorted(ends)
    heights = [0.0] * max(0, slots - len(heights)) + heights[max(0, len(heights) - slots) :]
    level = heights[0]
    for n, height in enumerate(heights[1:], 1):
        if (height - level) * n >= amount:
            return level + amount / n
        amount -= (height - level) * n
        level = height
    return level + amount / len(heights)
