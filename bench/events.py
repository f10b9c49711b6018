"""events: 1,000 readers of `GET /events` while 200 events a second are committed.

Two servers side by side: one with the readers, one without. Four clients queue 50 Jobs a second
each, first on the one, then on the other, at a pace that does not wait for a late response. (One
client for all would measure its own queue, where a commit takes 5 ms.) Each reader checks that the
numbers of the events are consecutive, to the last.
"""

import resource
from dataclasses import dataclass, field
from pathlib import Path

from bench.listeners import Listeners
from bench.probe import Probe
from bench.result import Figure, Report, at_most, percentile, ratio
from bench.server import Program, stopped_headway, usage
from storage.database import DATABASE_NAME, open_reader
from storage.events import last_seq

SUMMARY = "1,000 event streams and 200 events/s: nothing lost, and what it costs a submit"
EVENTS_PER_S = 200
CLIENTS = 4
BODY = b'{"type":"true","params":{"n":1}}'
GOAL = at_most(2)
DESCRIPTORS = 8192
PERCENTILES = (50, 99)


@dataclass(slots=True)
class Side:
    """One of the two servers. A round: seconds a request, and the CPU time (µs) of each."""

    server: Program
    times: list[list[float]] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def measure(self, count: int) -> None:
        """One round: so many Jobs at the pace."""
        before = usage(self.server.pid).cpu_ns
        probes = [self._client(count // CLIENTS) for _ in range(CLIENTS)]
        self.times.append(times := [took for probe in probes for took in probe.times()])
        self.cpu_us.append((usage(self.server.pid).cpu_ns - before) / 1e3 / len(times))

    def _client(self, count: int) -> Probe:
        per_s = EVENTS_PER_S / CLIENTS
        url = self.server.url
        return Probe(url, "POST", "/jobs", BODY, status=201, per_s=per_s, count=count)

    def figure(self, name: str, p: int) -> Figure:
        """A percentile of each round."""
        values = tuple(percentile(times, p) * 1e3 for times in self.times)
        return Figure(f"submit {name}: p{p}", "ms", values)


def run(directory: Path, quick: bool) -> Report:
    """Rounds in turn."""
    rounds, streams, count = (3, 100, 200) if quick else (5, 1_000, 1_000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, most), most))
    with (
        stopped_headway(directory / "watched") as watched,
        stopped_headway(directory / "alone") as alone,
    ):
        database = directory / "watched" / "data" / DATABASE_NAME
        sides = [Side(watched), Side(alone)]
        with Listeners(watched.url, streams, _last_seq(database)) as listeners:
            for number in range(rounds + 1):
                for side in sides[:: 1 if number % 2 else -1]:
                    side.measure(count if number else EVENTS_PER_S)  # the first warms up
            found = listeners.finish(_last_seq(database))
    return _report(sides, streams, found)


def _last_seq(database: Path) -> int:
    reader = open_reader(database)
    try:
        return last_seq(reader)
    finally:
        reader.close()


def _report(sides: list[Side], streams: int, found: dict[str, int]) -> Report:
    for side in sides:
        del side.times[0], side.cpu_us[0]
    watched, alone = sides
    names = (f"beside {streams:,} streams", "without streams")
    above = [watched.figure(names[0], p) for p in PERCENTILES]
    below = [alone.figure(names[1], p) for p in PERCENTILES]
    ratios = [
        ratio(f"submit p{p}: with / without streams", a, b, GOAL if p == 99 else None)
        for p, a, b in zip(PERCENTILES, above, below, strict=True)
    ]
    lost = float(found["odd"] + found["behind"])
    return Report(
        (
            *reversed(ratios),
            Figure("streams that lost an event, or were late", "streams", (lost,), at_most(0)),
            Figure(f"CPU an event {names[0]}", "µs", tuple(watched.cpu_us)),
            Figure(f"CPU an event {names[1]}", "µs", tuple(alone.cpu_us)),
            *above,
            *below,
        ),
        (f"{found['odd']} streams saw a gap, {found['behind']} had not read all after 20 s",),
    )
