"""Kill real servers, and report what came of it.

    python -m tests.crash --cycles 200 [--seed TEXT] [--jobs 2] [--directory DIR]

A cycle is one KILL of a server. They come in episodes of a dozen on one data directory; each worker
process runs one episode after another. The last line sums up. Exit status 1: a guarantee was
broken; then the episode's directory is kept and its seed is printed.
"""

import argparse
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.campaign import play_all, summary


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash")
    parser.add_argument("--cycles", type=int, default=200, help="violent deaths of a server")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="worker processes")
    parser.add_argument("--directory", type=Path, help="where data directories are made")
    given = parser.parse_args()
    begin = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="headway-crash-", dir=given.directory)).absolute()
    totals, breaches = play_all(given.cycles, given.seed, given.jobs, root)
    print(summary(totals, breaches, time.monotonic() - begin, given.seed))
    if breaches:
        print(f"what is left of them: {root}", file=sys.stderr)
        return 1
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
