"""ready: from the start of the process to its ready line: a long queue, a long history, and none.

With a cold cache nothing of the database is in memory: posix_fadvise(2), POSIX_FADV_DONTNEED.
"""

import os
from pathlib import Path

from bench.ended import end
from bench.result import Figure, Report, at_most, ratio
from bench.server import Program, fill, headway, stopped_headway

SUMMARY = "start to ready with 100,000 queued, and with 300,000 ended, beside an empty server"
QUEUED = 100_000
ENDED = 300_000
QUICK_ENDED = 50_000
"""Ten seconds less to make them, and still four times what a start checks at once."""

Times = dict[str, list[float]]


def run(directory: Path, quick: bool) -> Report:
    """Starts in turn; each ends in good order before the next."""
    rounds = 3 if quick else 15
    ended = QUICK_ENDED if quick else ENDED
    for name, count in (("empty", 0), ("queued", QUEUED)):
        with stopped_headway(directory / name) as server:
            fill(server, count)
    end(directory / "ended" / "data", ended)
    warm: Times = {"empty": [], "queued": [], "ended": []}
    cold: Times = {"empty": [], "ended": []}
    for number in range(rounds):
        for name in sorted(warm, reverse=number % 2 == 1):
            warm[name].append(_start(headway(directory / name)))
        for name in sorted(cold, reverse=number % 2 == 1):
            _forget(directory / name / "data")
            cold[name].append(_start(headway(directory / name)))
    return _report(warm, cold, ended)


def _report(warm: Times, cold: Times, ended: int) -> Report:
    empty = Figure("ready with none", "s", tuple(warm["empty"]))
    queued = Figure(f"ready with {QUEUED:,} queued", "s", tuple(warm["queued"]))
    long = Figure(f"ready with {ended:,} ended", "s", tuple(warm["ended"]))
    cold_empty = Figure("ready with none, cold", "s", tuple(cold["empty"]))
    cold_long = Figure(f"ready with {ended:,} ended, cold", "s", tuple(cold["ended"]))
    return Report(
        (
            ratio("full / empty", queued, empty, at_most(1.1)),
            ratio("ended / empty", long, empty, at_most(1.2)),
            ratio("ended / empty, cold cache", cold_long, cold_empty, at_most(2.0)),
            queued,
            long,
            empty,
            cold_long,
            cold_empty,
        )
    )


def _start(server: Program) -> float:
    elapsed = server.start()
    server.stop()
    return elapsed


def _forget(data_dir: Path) -> None:
    """Remove the database from the page cache."""
    for path in data_dir.glob("headway.db*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # dirty pages would stay in the cache
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
