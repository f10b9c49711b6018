"""hostile: 1,000 hostile connections held open, and their effect on other clients.

Two servers side by side, one of which is attacked. A well-behaved client reads a Job or queues one
at a fixed pace, first at the one, then at the other. It is measured as well that 1,000 connections
are really held: see `attacker.py`.
"""

import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.attacker import Attacker
from bench.probe import Probe
from bench.result import Figure, Report, at_least, at_most, percentile, ratio
from bench.server import Program, fill, stopped_headway, usage

SUMMARY = "others' p99 beside 1,000 slow heads, stalled bodies and stalled readers"
HELD = 1_000
QUEUED = 10_000
"""A list, and events, long enough for a reader to stall in."""
PER_S = 100
GOAL = at_most(2)
DESCRIPTORS = 8192
OPENED_PER_S = {True: 500, False: 50}
"""Over 30 s, so that not all deadlines expire at one moment; a quick run ends before."""
ENDED_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Side:
    """One of the two servers. By kind of request, a round each: seconds a request. `cpu`: cores."""

    server: Program
    job_id: str
    times: dict[str, list[list[float]]] = field(default_factory=dict)
    cpu: list[float] = field(default_factory=list)

    def measure(self, count: int) -> None:
        """One round: so many requests of each kind at the pace."""
        asked = {
            "GET a Job": ("GET", f"/jobs/{self.job_id}", b"", 200),
            "POST a Job": ("POST", "/jobs", b'{"type":"true"}', 201),
        }
        begin, before = time.perf_counter(), usage(self.server.pid).cpu_ns
        for name, (method, path, body, status) in asked.items():
            probe = Probe(
                self.server.url, method, path, body, status=status, per_s=PER_S, count=count
            )
            self.times.setdefault(name, []).append(probe.times())
        spent = (usage(self.server.pid).cpu_ns - before) / 1e9
        self.cpu.append(spent / (time.perf_counter() - begin))

    def figure(self, name: str, when: str) -> Figure:
        """The p99 of each round."""
        p99s = tuple(percentile(times, 99) * 1e3 for times in self.times[name])
        return Figure(f"{name} {when}: p99", "ms", p99s)


def run(directory: Path, quick: bool) -> Report:
    """Rounds in turn. The long form includes every deadline of the server."""
    rounds, count = (3, 50) if quick else (15, 200)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, most), most))
    with (
        stopped_headway(directory / "attacked") as attacked,
        stopped_headway(directory / "alone") as alone,
    ):
        sides = [Side(attacked, _prepare(attacked)), Side(alone, _prepare(alone))]
        reports = []
        per_s = OPENED_PER_S[quick]
        with Attacker(attacked.url, sides[0].job_id, HELD, per_s) as attacker:
            for number in range(rounds):
                for side in sides[:: 1 if number % 2 else -1]:
                    side.measure(count)
                reports.append(attacker.report())
    return _report(sides, reports)


def _prepare(server: Program) -> str:
    """Make one of each kind that is too large for a buffer; returns the Job that has the log."""
    with server.connect() as connection:
        body = {"type": "loud"}
        job_id: str = connection.json("POST", "/jobs", body, status=201)["job_id"]
        connection.json("POST", "/scheduler/start")
        deadline = time.monotonic() + ENDED_TIMEOUT_S
        while connection.json("GET", f"/jobs/{job_id}")["status"] != "COMPLETED":
            if time.monotonic() > deadline:
                raise TimeoutError("the Job with the long log did not complete")
            time.sleep(0.02)
        connection.json("POST", "/scheduler/stop", {})
    fill(server, QUEUED)
    return job_id


def _report(sides: list[Side], reports: list[dict[str, Any]]) -> Report:
    attacked, alone = sides
    beside = f"beside {HELD:,} hostile connections"
    ratios, figures = list[Figure](), list[Figure]()
    for name in attacked.times:
        above, below = attacked.figure(name, beside), alone.figure(name, "without")
        ratios.append(ratio(f"{name}, p99: beside / without", above, below, GOAL))
        figures += [above, below]
    fewest = tuple(float(report["fewest"]) for report in reports)
    cut = sum((Counter(report["cut"]) for report in reports), Counter[str]())
    counts = ", ".join(f"{cut[kind]} × {kind}" for kind in sorted(cut)) or "none"
    return Report(
        (
            *ratios,
            Figure("fewest held in a round", "connections", fewest, at_least(HELD)),
            *figures,
            Figure(f"CPU {beside}", "cores", tuple(attacked.cpu)),
            Figure("CPU without", "cores", tuple(alone.cpu)),
        ),
        (f"cut by the server, and connected again: {counts}",),
    )
