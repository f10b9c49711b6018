"""idle: the cost of a server that has nothing to do, alone and with 200 open event streams.

The window is longer than two heartbeats of a stream, so they are included.
"""

import time
from contextlib import ExitStack
from pathlib import Path

from bench.result import Figure, Report, at_most, ratio
from bench.server import Program, headway, noop, usage
from web.streams.sse import HEARTBEAT_S

SUMMARY = "CPU, memory and wake-ups with nothing to do, with 0 and 200 event streams"
STREAMS = 200
SETTLE_S = 1.0


def run(directory: Path, quick: bool) -> Report:
    """headway alone, with streams, and the stock server, one after another."""
    window_s = 2.0 if quick else 2 * HEARTBEAT_S + 5
    figures: list[Figure] = []
    with headway(directory / "headway") as server, noop(directory / "noop") as stock:
        with stock.connect() as connection:
            connection.exchange("POST", "/jobs")
        figures += _observe("headway", server, window_s)
        with ExitStack() as stack:
            for _ in range(STREAMS):
                connection = stack.enter_context(server.connect())
                connection.send("GET", "/events", {"Accept": "text/event-stream"})
                assert b"200" in connection.receive()[:15]
            watched = _observe(f"headway, {STREAMS} streams", server, window_s)
        bare = _observe("stock no-op server", stock, window_s)
    cpu, memory, _ = watched
    goals = [
        Figure(cpu.name, cpu.unit, cpu.values, at_most(0.1)),
        Figure(memory.name, memory.unit, memory.values, at_most(90)),
    ]
    against = ratio(f"memory: headway, {STREAMS} streams / stock no-op", memory, bare[1])
    return Report((*goals, watched[2], against, *figures, *bare))


def _observe(name: str, server: Program, window_s: float) -> list[Figure]:
    """CPU, memory and wake-ups over the window."""
    time.sleep(SETTLE_S)
    begin, before = time.perf_counter(), usage(server.pid)
    time.sleep(window_s)
    elapsed, after = time.perf_counter() - begin, usage(server.pid)
    cpu = (after.cpu_ns - before.cpu_ns) / 1e9 / elapsed * 100
    wakes = (after.voluntary_switches - before.voluntary_switches) / elapsed
    return [
        Figure(f"{name}: CPU", "% of a core", (cpu,)),
        Figure(f"{name}: memory", "MB", (after.rss_bytes / 1e6,)),
        Figure(f"{name}: wake-ups", "/s", (wakes,)),
    ]
