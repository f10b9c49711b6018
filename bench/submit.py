"""submit: how many Jobs a second 32 clients can queue, each confirmed after its fsync.

Huey's figure is that of a caller in the same process, without HTTP: a scale, not a competitor.
"""

from dataclasses import dataclass, field
from pathlib import Path

from bench.load import Load, drive_apart
from bench.peer import huey_enqueue
from bench.result import Figure, Report, at_least, ratio
from bench.server import Program, noop, status, stopped_headway, usage
from bench.wire import Unexpected

SUMMARY = "POST /jobs over 32 connections, beside the stack's own no-op route and Huey"
CONNECTIONS = 32
HUEY = "Huey: enqueued in its own process"
BODY = b'{"type":"true","params":{"n":1}}'
GOAL = at_least(1.5)


@dataclass(slots=True)
class Side:
    """One of the two servers, with a load and its own CPU time (µs a request) a round."""

    server: Program
    status: int
    loads: list[Load] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def drive(self, count: int) -> Load:
        """Ask `count` times."""
        return drive_apart(
            self.server.url,
            "/jobs",
            BODY,
            connections=CONNECTIONS,
            count=count,
            status=self.status,
        )

    def measure(self, count: int) -> None:
        """One round."""
        before = usage(self.server.pid).cpu_ns
        self.loads.append(self.drive(count))
        self.cpu_us.append((usage(self.server.pid).cpu_ns - before) / 1e3 / count)


def run(directory: Path, quick: bool) -> Report:
    """Rounds in turn, each server first in every other one."""
    rounds, count = (3, 1_500) if quick else (9, 3_000)
    huey: list[float] = []
    with stopped_headway(directory / "headway") as server, noop(directory / "noop") as stock:
        ours, bare = Side(server, 201), Side(stock, 200)
        for side in (ours, bare):
            side.drive(count // 2)
        for number in range(rounds):
            for side in (ours, bare)[:: 1 if number % 2 else -1]:
                side.measure(count)
            huey.append(count / huey_enqueue(directory / f"huey-{number}.db", count))
        _check(server, rounds * count + count // 2)
    return _report(ours, bare, Figure(HUEY, "/s", tuple(huey)))


def _check(server: Program, expected: int) -> None:
    with server.connect() as connection:
        if (queued := status(connection)["queue_length"]) != expected:
            raise Unexpected(f"{expected} Jobs were answered with 201, {queued} are queued")


def _report(ours: Side, bare: Side, huey: Figure) -> Report:
    def figures(name: str, side: Side) -> tuple[Figure, Figure, Figure, Figure]:
        return (
            Figure(f"{name}: answers", "/s", tuple(load.per_s for load in side.loads)),
            Figure(f"{name}: CPU a request", "µs", tuple(side.cpu_us)),
            Figure(f"{name}: p50", "ms", tuple(load.p50_s * 1e3 for load in side.loads)),
            Figure(f"{name}: p99", "ms", tuple(load.p99_s * 1e3 for load in side.loads)),
        )

    headway, stock = figures("headway", ours), figures("no-op route", bare)
    return Report(
        (
            ratio("headway / no-op route", headway[0], stock[0], GOAL),
            ratio("CPU a request: headway / no-op route", headway[1], stock[1]),
            *headway,
            *stock,
            huey,
        )
    )
