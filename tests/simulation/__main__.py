"""python -m tests.simulation --seeds N [--fresh M] [--start S] [--jobs J]    many worlds
python -m tests.simulation --seed N                                        one, with its trace

Of the N worlds M have seeds that were never used before; their start is printed first, and
`--start` with it runs them again. Exits 1 when an invariant was broken, and when a kind of fault
or of request never came; the seed that it names fails every time.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation import tuning
from tests.simulation.world import Failure, Tally, simulate

SEEDS_AT_ONCE = 10
FRESH_FROM = 1_000_000
KINDS_SEEN_AFTER = 100
"""In so many worlds every kind has come: the rarest comes in every second one."""

FIGURES = ("jobs", "runs", "lives", "commits", "operations", "checks")


def run_some(seeds: list[int]) -> tuple[list[Tally], list[str]]:
    """Simulate these worlds; returns (what they saw, what was broken)."""
    tallies, failures = [], []
    tuning.keep_what_is_loaded()
    for seed in seeds:
        try:
            tallies.append(simulate(seed))
        except Failure as failure:
            failures.append(str(failure))
        tuning.collect_world()
    return tallies, failures


def run_many(seeds: list[int], jobs: int) -> Iterator[tuple[list[Tally], list[str]]]:
    """Simulate on several processors; yields the results in any order."""
    slices = [seeds[i : i + SEEDS_AT_ONCE] for i in range(0, len(seeds), SEEDS_AT_ONCE)]
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run_some, part) for part in slices]):
            yield done.result()


class Total:
    """The sum of the tallies of many worlds."""

    def __init__(self) -> None:
        self.worlds = self.broken = 0
        self.figures: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.collected: Counter[str] = Counter()

    def add(self, tallies: list[Tally], failures: list[str]) -> None:
        """Add the tally of one world."""
        self.worlds += len(tallies) + len(failures)
        self.broken += len(failures)
        for tally in tallies:
            self.figures.update({name: getattr(tally, name) for name in FIGURES})
            self.faults.update(tally.faults)
            self.ends.update(tally.ends)
            self.asked.update(tally.asked)
            self.collected.update(tally.collected)

    def never(self) -> list[str]:
        """The kinds of faults and requests that are expected and never came."""
        if self.worlds - self.broken < KINDS_SEEN_AFTER:
            return []
        kinds = self.faults | self.ends | self.asked | self.collected
        return [name for name, n in kinds.items() if n == 0]


def campaign(seeds: list[int], jobs: int) -> int:
    """Simulate, print each failure at once, then the sum. Returns the exit status."""
    begin = time.perf_counter()
    total = Total()
    for tallies, failures in run_many(seeds, jobs):
        for failure in failures:
            print(failure, flush=True)
        total.add(tallies, failures)
    print(f"simulation: {total.worlds:,} worlds, {total.broken} broken: {listed(total.figures)}; "
          f"{time.perf_counter() - begin:.0f} s")  # fmt: skip
    print(f"  {total.faults.total():,} faults: {listed(total.faults)}")
    print(f"  {total.ends.total():,} orderly ends: {listed(total.ends)}")
    print(f"  {total.asked.total():,} requests: {listed(total.asked)}")
    print(f"  {total.collected.total():,} readings of what runs left: {listed(total.collected)}")
    if never := total.never():
        print(f"  never came: {', '.join(never)}")
    return 1 if total.broken or never else 0


def listed(counts: Counter[str]) -> str:
    """`3 kill, 4 power cut`."""
    return ", ".join(f"{n:,} {name}" for name, n in counts.items())


def show(seed: int) -> int:
    """Simulate one world, and print its trace."""
    trace: list[str] = []
    try:
        said = str(simulate(seed, trace))
        code = 0
    except Failure as failure:
        said, code = str(failure), 1
    print("\n".join([*trace, said]))
    return code


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="one world, with its trace")
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--fresh", type=int, default=0, help="how many of them with new seeds")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    given = parser.parse_args()
    tuning.lighten_sqlite()
    if given.seed is not None:
        return show(given.seed)
    fresh = min(given.fresh, given.seeds)
    seeds = list(range(given.start, given.start + given.seeds - fresh))
    if fresh:
        start = random.SystemRandom().randrange(FRESH_FROM, 2**31)
        print(f"simulation: fresh seeds, to be had again with --start {start} --seeds {fresh}")
        seeds += range(start, start + fresh)
    return campaign(seeds, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
