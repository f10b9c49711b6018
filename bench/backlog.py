"""backlog: whether a million queued Jobs make anything slower than a thousand do.

Two servers side by side, one with the long queue and one with the short. Dispatch is the time from
one end of a `/bin/true` to the next at concurrency 1, so it includes the program; pages are those
that a client requests; requests for one Job go to each of the newest queued in turn.

A start checks every page of the file before it writes to it, and its rows for a bounded time
(`storage/damage.py`). Therefore it has no ratio, but a bound in seconds.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.result import Figure, Report, at_most, ratio
from bench.runs import moment
from bench.server import Program, fill, headway, status, stopped_headway, usage
from bench.wire import Connection

SUMMARY = "every operation, memory and a start with 1,000,000 queued, beside 1,000"
SHORT = 1_000
RUNS_A_ROUND = 40
ASKED_A_ROUND = 40
STARTS = 3
LOOK_S = 0.02
TIMEOUT_S = 60.0
GOAL = at_most(1.1)
START_GOAL = at_most(1.0)
"""Seconds more. The rows have 0.4 s; pages come as fast as the disk, or its cache, delivers."""

Ask = Callable[[Connection, str, int], None]
"""Send one request, about this Job if it concerns one; the number counts the requests."""


def _get(path: str) -> Ask:
    return lambda connection, job_id, number: _exchange(connection, "GET", path)


def _exchange(connection: Connection, method: str, path: str, body: object = None) -> None:
    sent = b"" if body is None else json.dumps(body).encode()
    status = 202 if path.endswith("/cancel") else 200
    connection.exchange(method, path, sent, status=status)


OPERATIONS: dict[str, Ask] = {
    "first page": _get("/jobs"),
    "page of QUEUED": _get("/jobs?status=QUEUED"),
    "page by type, oldest first": _get("/jobs?type=true&order=asc"),
    "page of nothing": _get("/jobs?status=FAILED"),
    "status": _get("/scheduler/status"),
    "one Job": lambda connection, job_id, number: _exchange(connection, "GET", f"/jobs/{job_id}"),
    "change of priority": lambda connection, job_id, number: _exchange(
        connection, "PATCH", f"/jobs/{job_id}", {"priority": 1 + number}
    ),
    "cancel": lambda connection, job_id, number: _exchange(
        connection, "POST", f"/jobs/{job_id}/cancel"
    ),
}
"""In this order: a cancelled Job cannot be changed."""


@dataclass(slots=True)
class Side:
    """One of the two servers. Times in milliseconds, one a round."""

    server: Program
    connection: Connection
    dispatch: list[float] = field(default_factory=list)
    asked: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in OPERATIONS})


def run(directory: Path, quick: bool) -> Report:
    """Fill, restart, then measure rounds in turn."""
    rounds, long = (3, 100_000) if quick else (9, 1_000_000)
    for name, count in (("short", SHORT), ("long", long)):
        with stopped_headway(directory / name) as server:
            fill(server, count)
    servers = [headway(directory / name) for name in ("short", "long")]
    starts = _starts(servers)
    small, large = servers
    with small, large, small.connect() as to_small, large.connect() as to_large:
        sides = [Side(small, to_small), Side(large, to_large)]
        for number in range(rounds):
            _round(sides[:: 1 if number % 2 else -1])
        grown = usage(large.pid).rss_bytes - usage(small.pid).rss_bytes
    return _report(sides[0], sides[1], long, grown / 1e6, starts)


def _starts(servers: list[Program]) -> list[list[float]]:
    """Seconds from the start of each server to ready, in turn."""
    found = list[list[float]]()
    for _ in range(STARTS):
        found.append([])
        for server in servers:
            found[-1].append(server.start())
            server.stop()
    return found


def _round(sides: list[Side]) -> None:
    path = f"/jobs?status=QUEUED&limit={ASKED_A_ROUND}"
    ids = [[job["job_id"] for job in side.connection.json("GET", path)["jobs"]] for side in sides]
    for name, ask in OPERATIONS.items():
        times: list[list[float]] = [[], []]
        # In turn, so that a disturbance of the machine affects both.
        for number in range(ASKED_A_ROUND):
            for side, of_side, spent in zip(sides, ids, times, strict=True):
                begin = time.perf_counter()
                ask(side.connection, of_side[number], number)
                spent.append((time.perf_counter() - begin) * 1e3)
        for side, spent in zip(sides, times, strict=True):
            side.asked[name].append(sorted(spent)[len(spent) // 2])
    for side in sides:
        fill(side.server, ASKED_A_ROUND)  # in place of the cancelled ones
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


def _report(
    small: Side, large: Side, long: int, grown_mb: float, starts: list[list[float]]
) -> Report:
    figures: list[Figure] = []
    ratios: list[Figure] = []
    measured = {"dispatch and run": (small.dispatch, large.dispatch)}
    measured |= {name: (small.asked[name], large.asked[name]) for name in OPERATIONS}
    for name, (with_few, with_many) in measured.items():
        few = Figure(f"{name}: {SHORT:,} queued", "ms", tuple(with_few))
        many = Figure(f"{name}: {long:,} queued", "ms", tuple(with_many))
        ratios.append(ratio(f"{name}: {long:,} / {SHORT:,}", many, few, GOAL))
        figures += [few, many]
    memory = Figure(f"memory for {long:,}", "MB more", (grown_mb,), at_most(32))
    more = tuple(of_large - of_small for of_small, of_large in starts)
    start = Figure(f"start to ready with {long:,}", "s more", more, START_GOAL)
    empty = Figure(f"start to ready with {SHORT:,}", "s", tuple(first for first, _ in starts))
    return Report((*ratios, memory, start, *figures, empty))
