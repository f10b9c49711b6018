"""Let programs leave all that they can behind on real servers, and sum up what came of it.

    python -m tests.hostile --runs 500 [--seed TEXT] [--jobs 2] [--deed NAME] [--directory DIR]

The hostile runs come in episodes of some dozens on one data directory; each worker process plays
one episode after another. `--seed TEXT/3` is the fourth episode of that seed alone; with `--deed`
all do that one thing (tests/hostile/program.py lists them). Beside them
well-behaved Jobs run all the time, `/health` is asked without a pause, and servers are killed and
stopped. Exit status 1: something did not hold; then the episode's directory is kept (with `--keep`
each one is).
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.campaign import RUNS_PER_EPISODE, play_all, summary
from tests.hostile.victim import remove_tree


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("--runs", type=int, default=500, help="hostile run directories")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="worker processes")
    parser.add_argument("--directory", type=Path, help="where data directories are made")
    parser.add_argument("--deed", help="of one kind only")
    parser.add_argument("--keep", action="store_true", help="keep every episode's directory")
    given = parser.parse_args()
    runs = min(given.runs, RUNS_PER_EPISODE) if "/" in given.seed else given.runs
    print(f"seed {given.seed}", flush=True)
    begin = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="headway-hostile-", dir=given.directory)).absolute()
    totals, breaches = play_all(runs, given.seed, given.jobs, root, given.deed, given.keep)
    print(summary(totals, breaches, time.monotonic() - begin, given.seed))
    if breaches or given.keep:
        print(f"what is left of them: {root}", file=sys.stderr)
    else:
        remove_tree(root)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
