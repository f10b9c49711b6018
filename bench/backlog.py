"""backlog: whether a million queued Jobs make anything slower than a thousand do.

Two servers side by side, one with the long queue and one with the short. Dispatch is the time from
one end of a `/bin/true` to the next at concurrency 1, so it contains the program; pages are those
that a client asks for.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.result import Figure, Report, at_most, ratio
from bench.runs import moment
from bench.server import Program, fill, headway, status, stopped_headway, usage
from bench.wire import Connection

SUMMARY = "dispatch, pages of GET /jobs and memory with 1,000,000 queued, beside 1,000"
SHORT = 1_000
RUNS_A_ROUND = 40
PAGES_A_ROUND = 40
LOOK_S = 0.02
TIMEOUT_S = 60.0
GOAL = at_most(1.1)
PAGES = {
    "first page": "/jobs",
    "page of QUEUED": "/jobs?status=QUEUED",
    "page by type, oldest first": "/jobs?type=true&order=asc",
    "page of nothing": "/jobs?status=FAILED",
}


@dataclass(slots=True)
class Side:
    """One of the two servers. Times in milliseconds, one a round."""

    server: Program
    connection: Connection
    dispatch: list[float] = field(default_factory=list)
    pages: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PAGES})


def run(directory: Path, quick: bool) -> Report:
    """Fill, start anew, then rounds in turn."""
    rounds, long = (3, 100_000) if quick else (9, 1_000_000)
    for name, count in (("short", SHORT), ("long", long)):
        with stopped_headway(directory / name) as server:
            fill(server, count)
    with (
        headway(directory / "short") as small,
        headway(directory / "long") as large,
        small.connect() as to_small,
        large.connect() as to_large,
    ):
        sides = [Side(small, to_small), Side(large, to_large)]
        for number in range(rounds):
            _round(sides[:: 1 if number % 2 else -1])
        grown = usage(large.pid).rss_bytes - usage(small.pid).rss_bytes
    return _report(sides[0], sides[1], long, grown / 1e6)


def _round(sides: list[Side]) -> None:
    for name, path in PAGES.items():
        times: list[list[float]] = [[], []]
        # Turn by turn, so that whatever disturbs the machine disturbs both.
        for _ in range(PAGES_A_ROUND):
            for side, spent in zip(sides, times, strict=True):
                begin = time.perf_counter()
                side.connection.exchange("GET", path)
                spent.append((time.perf_counter() - begin) * 1e3)
        for side, spent in zip(sides, times, strict=True):
            side.pages[name].append(sorted(spent)[len(spent) // 2])
    for side in sides:
        side.dispatch.append(_dispatch(side.server, side.connection))


def _dispatch(server: Program, connection: Connection) -> float:
    """Milliseconds a run, over the last `RUNS_A_ROUND` ends; then the queue is as long again."""
    executed = status(connection)["cumulative_stats"]["total_executed"]
    connection.json("POST", "/scheduler/start")
    deadline = time.monotonic() + TIMEOUT_S
    while status(connection)["cumulative_stats"]["total_executed"] < executed + RUNS_A_ROUND + 1:
        if time.monotonic() > deadline:
            raise TimeoutError("the queue does not move")
        time.sleep(LOOK_S)
    done = connection.json("POST", "/scheduler/stop", {"wait_s": 10})
    page = connection.json("GET", f"/jobs?status=COMPLETED&limit={RUNS_A_ROUND + 1}")
    ends = sorted(moment(job["finished_at"]) for job in page["jobs"])
    fill(server, done["cumulative_stats"]["total_executed"] - executed)
    return (ends[-1] - ends[0]) / (len(ends) - 1) * 1e3


def _report(small: Side, large: Side, long: int, grown_mb: float) -> Report:
    figures: list[Figure] = []
    ratios: list[Figure] = []
    measured = {"dispatch and run": (small.dispatch, large.dispatch)}
    measured |= {name: (small.pages[name], large.pages[name]) for name in PAGES}
    for name, (with_few, with_many) in measured.items():
        few = Figure(f"{name}: {SHORT:,} queued", "ms", tuple(with_few))
        many = Figure(f"{name}: {long:,} queued", "ms", tuple(with_many))
        ratios.append(ratio(f"{name}: {long:,} / {SHORT:,}", many, few, GOAL))
        figures += [few, many]
    memory = Figure(f"memory for {long:,}", "MB more", (grown_mb,), at_most(32))
    return Report((*ratios, memory, *figures))
