"""Seeded bugs: the suite must catch every one.

    python -m tests.bugs             all of them
    python -m tests.bugs NAME …      these
    python -m tests.bugs --some 4    a handful, another one each day
    python -m tests.bugs --list

First the same tests run without a bug. Exit status 1: a bug escaped, or no longer fits the code.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from tests.bugs.catalogue import BUGS, Bug
from tests.bugs.hunt import Verdict, control, hunt


def handful(n: int, day: int) -> Sequence[Bug]:
    """`n` bugs beginning where the day before ended, so that all have their turn."""
    return [BUGS[(day * n + i) % len(BUGS)] for i in range(min(n, len(BUGS)))]


def chosen(names: Sequence[str], some: int | None) -> Sequence[Bug]:
    """The bugs that the command line asks for; exits 2 on an unknown name."""
    known = {bug.name: bug for bug in BUGS}
    if unknown := [name for name in names if name not in known]:
        print(f"there is no bug {', '.join(unknown)}: --list names them", file=sys.stderr)
        sys.exit(2)
    if names:
        return [known[name] for name in names]
    return BUGS if some is None else handful(some, datetime.now(UTC).toordinal())


def tell(name: str, verdict: Verdict) -> None:
    """One line, and the end of the output where it matters."""
    print(f"{name:32} {verdict.why}", flush=True)
    if verdict.output and not verdict.caught:
        print(verdict.output, flush=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bugs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help="only these")
    parser.add_argument("--some", type=int, help="so many, another handful each day")
    parser.add_argument("--list", action="store_true", help="name them, with what each breaks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at once")
    given = parser.parse_args()
    if given.list:
        print("\n".join(f"{bug.name:32} {bug.breaks}" for bug in BUGS))
        return 0
    bugs = chosen(given.name, given.some)
    caught = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        without = pool.submit(control, bugs)
        for bug, verdict in zip(bugs, pool.map(hunt, bugs), strict=True):
            tell(bug.name, verdict)
            caught += verdict.caught
        if not without.result().caught:
            tell("control", without.result())
            return 1
    print(f"seeded bugs: {caught} of {len(bugs)} caught")
    return 0 if caught == len(bugs) else 1


if __name__ == "__main__":
    sys.exit(main())
