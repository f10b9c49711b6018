"""python -m tests.simulation --seeds N [--start S] [--jobs J]    many worlds, one line at the end
python -m tests.simulation --seed N                             one world, with its trace

Exits 1 when an invariant was broken; the seed that it names fails every time.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields

from tests.simulation.world import Failure, Tally, simulate

SEEDS_AT_ONCE = 10


def run_some(seeds: list[int]) -> tuple[list[Tally], list[str]]:
    """(what was seen, what was broken) in these worlds."""
    tallies, failures = [], []
    for seed in seeds:
        try:
            tallies.append(simulate(seed))
        except Failure as failure:
            failures.append(str(failure))
    return tallies, failures


def run_many(seeds: list[int], jobs: int) -> Iterator[tuple[list[Tally], list[str]]]:
    """The same on several processors, as it comes."""
    slices = [seeds[i : i + SEEDS_AT_ONCE] for i in range(0, len(seeds), SEEDS_AT_ONCE)]
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run_some, part) for part in slices]):
            yield done.result()


def campaign(seeds: list[int], jobs: int) -> int:
    """Run them, tell of each failure at once, and sum up. Returns the exit status."""
    begin = time.perf_counter()
    total = dict.fromkeys((field.name for field in fields(Tally)), 0)
    worlds = broken = 0
    for tallies, failures in run_many(seeds, jobs):
        for failure in failures:
            print(failure, flush=True)
        worlds += len(tallies)
        broken += len(failures)
        for tally in tallies:
            for name in total:
                total[name] += getattr(tally, name)
    counts = ", ".join(f"{n:,} {name}" for name, n in total.items())
    print(f"simulation: {worlds + broken:,} worlds, {broken} broken: {counts}; "
          f"{time.perf_counter() - begin:.0f} s")  # fmt: skip
    return 1 if broken else 0


def show(seed: int) -> int:
    """One world, told line by line."""
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
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    given = parser.parse_args()
    if given.seed is not None:
        return show(given.seed)
    return campaign(list(range(given.start, given.start + given.seeds)), given.jobs)


if __name__ == "__main__":
    sys.exit(main())
