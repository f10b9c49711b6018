"""Let every I/O operation of every core transaction fail, and say how many there were.

    python -m tests.faults [--pairs] [--case NAME] [--jobs 2]

With `--pairs` each fault is followed by each other one, at each operation of the next life: that is
about forty times as much. The last line sums up. Exit status 1: something promised did not hold.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.faults.fault_loop import FAULTS, Broken, Stage
from tests.faults.transaction import CASES
from tests.simulation.tuning import lighten_sqlite
from tests.simulation.world import memory


def play(name: str, pairs: bool) -> tuple[Counter[str], str]:
    """One transaction in this process: its fault points, and what is wrong."""
    sys.unraisablehook = lambda _: None  # the disk also raises where SQLite ignores it
    with tempfile.TemporaryDirectory(dir=memory()) as directory:
        stage = Stage(CASES[name], Path(directory))
        try:
            stage.play_all(pairs=pairs)
        except Broken as broken:
            return stage.points, str(broken)
        return stage.points, ""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--pairs", action="store_true", help="also every two faults in a row")
    parser.add_argument("--case", choices=CASES, action="append", help="only this transaction")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    given = parser.parse_args()
    lighten_sqlite()
    begin = time.monotonic()
    names = given.case or list(CASES)
    points, broken = Counter[str](), 0
    with ProcessPoolExecutor(given.jobs) as pool:
        for found, wrong in pool.map(play, names, [given.pairs] * len(names)):
            points += found
            if wrong:
                broken += 1
                print(f"BROKEN {wrong}", flush=True)
    counts = ", ".join(f"{name} {n:,}" for name, n in points.items())
    print(
        f"I/O faults: {points.total():,} fault points in {len(names)} transactions"
        f" ({len(FAULTS)} faults: {counts}), {broken} transactions broken;"
        f" {time.monotonic() - begin:.0f} s"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
