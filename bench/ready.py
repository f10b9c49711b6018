"""ready: from the start of the process to its ready line, with a long queue and with none."""

from pathlib import Path

from bench.result import Figure, Report, at_most, ratio
from bench.server import Program, fill, headway, stopped_headway

SUMMARY = "start to ready with 100,000 queued, beside an empty server"
QUEUED = 100_000


def run(directory: Path, quick: bool) -> Report:
    """Starts in turn; each ends in good order before the next."""
    rounds = 3 if quick else 15
    for name, count in (("empty", 0), ("full", QUEUED)):
        with stopped_headway(directory / name) as server:
            fill(server, count)
    found: dict[str, list[float]] = {"empty": [], "full": []}
    for number in range(rounds):
        for name in sorted(found, reverse=number % 2 == 1):
            found[name].append(_start(headway(directory / name)))
    full = Figure(f"ready with {QUEUED:,} queued", "s", tuple(found["full"]))
    empty = Figure("ready with none", "s", tuple(found["empty"]))
    return Report((ratio("full / empty", full, empty, at_most(1.1)), full, empty))


def _start(server: Program) -> float:
    elapsed = server.start()
    server.stop()
    return elapsed
