"""latency: from a client's request at an idle server to the first instructions of the program.

The program is `/bin/date +%s%N`: its output minus the client's clock before the request. Its own
start (exec, dynamic linking) is in every figure alike; `bare spawn` shows its share. `adopt =
false` is headway without the shim, `output = "file"` without the output's pipe. With TMPDIR on a
tmpfs there is no wait for a disk: the difference that remains is not the cost of durability.
"""

import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import redis_peer
from bench.pause import pauses
from bench.peer import STAMP, huey_latencies
from bench.redis_peer import RedisPeer
from bench.result import Figure, Report, at_most, percentile, ratio
from bench.server import Program, headway
from bench.wire import Connection

SUMMARY = "idle server: HTTP submit to the program's first instructions, beside Huey, Celery and RQ"
PERCENTILES = (50, 99)
LOOK_S = 0.03
OUTPUT_TIMEOUT_S = 10.0
OURS, BARE = "headway, over HTTP", "headway, adopt = false"
FILED = 'headway, output = "file"'
HUEY, SPAWN = "Huey", "bare spawn"


def run(directory: Path, quick: bool) -> Report:
    """Rounds in turn."""
    rounds, count = (2, 12) if quick else (3, 150)
    with headway(directory / "headway") as server:
        sides: dict[str, Callable[[int], list[float]]] = {
            OURS: lambda _: latencies(server, "stamp", count),
            FILED: lambda _: latencies(server, "filed_stamp", count),
            BARE: lambda _: latencies(server, "bare_stamp", count),
            HUEY: lambda number: huey_latencies(directory / f"huey-{number}.db", count),
            SPAWN: lambda _: spawn_latencies(count),
        }
        for peer in redis_peer.measured(quick):
            sides[peer.name] = partial(_in_redis, peer, directory, count)
        found: dict[str, list[list[float]]] = {name: [] for name in sides}
        for number in range(rounds):
            for name, measure in sides.items():
                found[name].append(measure(number))
    return _report(found, quick)


def _in_redis(peer: RedisPeer, directory: Path, count: int, number: int) -> list[float]:
    return peer.latencies(directory / f"{peer.module}-{number}", count)


def latencies(server: Program, job_type: str, count: int) -> list[float]:
    """Milliseconds, one a Job."""
    found = []
    with server.connect() as connection:
        for pause_s in pauses(count):
            time.sleep(pause_s)
            begin = time.time_ns()
            job = connection.json("POST", "/jobs", {"type": job_type}, status=201)
            found.append((_printed(connection, job["job_id"]) - begin) / 1e6)
    return found


def _printed(connection: Connection, job_id: str) -> int:
    """The output of the program. The server is not asked before the output may be there."""
    deadline = time.monotonic() + OUTPUT_TIMEOUT_S
    while time.monotonic() < deadline:
        time.sleep(LOOK_S)
        if output := connection.exchange("GET", f"/jobs/{job_id}/log"):
            return int(output)
    raise TimeoutError(f"{job_id} printed nothing in {OUTPUT_TIMEOUT_S:g} s")


def spawn_latencies(count: int) -> list[float]:
    """Milliseconds of `subprocess` alone."""
    found = []
    for pause_s in pauses(count):
        time.sleep(pause_s)
        begin = time.time_ns()
        output = subprocess.run(STAMP, stdout=subprocess.PIPE, check=True).stdout
        found.append((int(output) - begin) / 1e6)
    return found


def _report(found: dict[str, list[list[float]]], quick: bool) -> Report:
    figures = {
        (name, p): Figure(
            f"{name}: p{p}", "ms", tuple(percentile(values, p) for values in found[name])
        )
        for name in found
        for p in PERCENTILES
    }
    ratios = [
        ratio(
            f"{OURS} / {name}: p{p}",
            figures[OURS, p],
            figures[name, p],
            None if name in (SPAWN, FILED) else at_most(1),
        )
        for name in found
        if name not in (OURS, BARE)
        for p in PERCENTILES
    ]
    ratios += [
        ratio(f"{BARE} / {name}: p{p}", figures[BARE, p], figures[name, p])
        for name in found
        if name not in (OURS, BARE, FILED, HUEY, SPAWN)
        for p in PERCENTILES
    ]
    return Report((*ratios, *figures.values()), tuple(redis_peer.notes(quick)))
