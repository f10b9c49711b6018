"""python -m bench list
python -m bench NAME … | all [--json] [--quick [--guard] [--keep]]
python -m bench profile NAME … [--svg FILE]
python -m bench plot

Exit status 0: every goal was met; 1: one was not; 2: wrong command line. With `--guard` a missed
goal is only reported; 3: a ratio has fallen, see `guard.py`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from bench import (
    backlog,
    batch,
    events,
    guard,
    hostile,
    idle,
    latency,
    machine,
    plot,
    profile,
    ready,
    recovery,
    runs,
    stall,
    submit,
)
from bench.result import Report, Result, keep, table


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench: its summary, and the function that measures in a directory of its own."""

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
    "hostile": _bench(hostile),
    "stall": _bench(stall),
    "backlog": _bench(backlog),
    "recovery": _bench(recovery),
    "idle": _bench(idle),
    "ready": _bench(ready),
}


def measure(name: str, arguments: Sequence[str], *, quick: bool) -> Result:
    """Run one bench in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="bench-") as outer:
        machine.spread(Path(outer))
        directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=outer))
        described = machine.describe(directory)
        date = machine.now()
        report = BENCHES[name].run(directory, quick)
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
    """Every bench with its summary."""
    return "\n".join(f"{name:10} {bench.summary}" for name, bench in BENCHES.items())


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        epilog=listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name",
        nargs="+",
        choices=["list", "all", "plot", "profile", *BENCHES],
        metavar="NAME",
        help="list, all, one or more benches, profile and one or more benches, or plot",
    )
    parser.add_argument("--json", action="store_true", help="print results as lines of JSON")
    parser.add_argument("--quick", action="store_true", help="small, rough, not among the results")
    parser.add_argument("--guard", action="store_true", help="with --quick: fail on fallen ratios")
    parser.add_argument("--keep", action="store_true", help="with --quick: the ratios to guard")
    parser.add_argument("--svg", type=Path, help="with profile: write flame graphs, no table")
    given = parser.parse_args(arguments)
    if (given.guard or given.keep) and not given.quick:
        parser.error("--guard and --keep are about quick runs: add --quick")
    if given.name == ["profile"]:
        parser.error("name the bench to profile")
    return given


def main(arguments: Sequence[str]) -> int:
    """The command."""
    given = parse(arguments)
    if "list" in given.name:
        print(listing())
        return 0
    if "plot" in given.name:
        print(*plot.plot(), sep="\n")
        return 0
    names = list(BENCHES) if "all" in given.name else [n for n in given.name if n in BENCHES]
    if "profile" in given.name:
        for name in names:
            print(profile.profile(BENCHES[name].run, given.svg))
        return 0
    return run(names, arguments, given)


def run(names: Sequence[str], arguments: Sequence[str], given: argparse.Namespace) -> int:
    """Measure, print, keep, judge; returns the exit status."""
    results, fallen = [], list[str]()
    before = guard.kept() if given.guard else {}
    for name in names:
        result = measure(name, arguments, quick=given.quick)
        show(result, as_json=given.json)
        if given.guard and (suspects := guard.fallen(result, before)):
            print(*suspects.values(), f"{name} is measured once more", sep="\n", flush=True)
            again = measure(name, arguments, quick=True)
            show(again, as_json=given.json)
            still = guard.fallen(again, before)
            fallen += [sentence for figure, sentence in still.items() if figure in suspects]
        if not given.quick:
            keep(result)
        results.append(result)
    if given.keep:
        guard.keep(results)
    missed = [f"{r.bench}: {f.name}" for r in results for f in r.report.figures if f.met is False]
    if missed and not given.json:
        print("goals not met:", *missed, sep="\n  ")
    if given.guard:
        print(*(fallen or ["no ratio has fallen"]), sep="\n")
        return 3 if fallen else 0
    return 1 if missed else 0


def show(result: Result, *, as_json: bool) -> None:
    """Print one result on standard output."""
    print(json.dumps(result.as_json(), ensure_ascii=False) if as_json else f"{table(result)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
