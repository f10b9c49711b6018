"""python -m bench list | NAME … | all [--json] [--quick]

Exits 0 when every goal was met, 1 when one was not, 2 on a wrong command line.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from bench import backlog, batch, events, idle, latency, machine, ready, recovery, runs, submit
from bench.result import Report, Result, keep, table


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench: a line about it, and what measures it in a directory of its own."""

    summary: str
    run: Callable[[Path, bool], Report]


def _bench(module: ModuleType) -> Bench:
    return Bench(module.SUMMARY, module.run)


BENCHES: dict[str, Bench] = {
    "submit": _bench(submit),
    "batch": _bench(batch),
    "runs": _bench(runs),
    "latency": _bench(latency),
    "events": _bench(events),
    "backlog": _bench(backlog),
    "recovery": _bench(recovery),
    "idle": _bench(idle),
    "ready": _bench(ready),
}


def measure(name: str, arguments: Sequence[str], *, quick: bool) -> Result:
    """Run one bench in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as directory:
        described = machine.describe(Path(directory))
        date = machine.now()
        report = BENCHES[name].run(Path(directory), quick)
    return Result(
        bench=name,
        report=report,
        date=date,
        commit=machine.commit(),
        machine=described,
        command=" ".join(["python -m bench", *arguments]),
        quick=quick,
    )


def listing() -> str:
    """Every bench with its line."""
    return "\n".join(f"{name:10} {bench.summary}" for name, bench in BENCHES.items())


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        epilog=listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name",
        nargs="+",
        choices=["list", "all", *BENCHES],
        metavar="NAME",
        help="list, all, or one or more benches",
    )
    parser.add_argument("--json", action="store_true", help="print results as lines of JSON")
    parser.add_argument("--quick", action="store_true", help="small, rough, and not kept")
    given = parser.parse_args(arguments)
    if "list" in given.name:
        print(listing())
        return 0
    results = []
    for name in BENCHES if "all" in given.name else given.name:
        result = measure(name, arguments, quick=given.quick)
        if not given.quick:
            keep(result)
        print(json.dumps(result.as_json(), ensure_ascii=False) if given.json else table(result))
        print(flush=True, end="" if given.json else "\n")
        results.append(result)
    return 1 if any(result.met is False for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
