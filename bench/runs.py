"""runs: how many programs a second a full queue runs, two at a time.

Every side begins with its queue full and has two slots. headway commits the intent and the end of
each run and keeps its output in a file; Huey keeps output and status of ended tasks, and forgets
running ones when it is killed; Celery and RQ keep output and status in a Redis's memory;
task-spooler keeps output files and a list in memory; GNU parallel keeps a line a run; xargs keeps
nothing. `adopt = false` is headway without the shim: like Huey it loses running tasks when it is
killed, but records that. The floors are not servers. The bare loops are the minimum of this
machine, Python and SQLite for a run, with the shim and without. `the same rows and files on Trio`
is the cost of headway's guarantees: everything that `adopt = false` leaves of a run, without any
decision. `output = "file"` is headway without the pipe that keeps output whole: the log is the
standard output. The cost of the pipe is given in CPU time, of server, programs and log writer
together.
"""

import shutil
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from bench import redis_peer, tsp_peer, xargs_peer
from bench.bare_peer import bare_drain
from bench.floor_peer import floor_drain
from bench.peer import huey_drain
from bench.redis_peer import RedisPeer
from bench.result import Figure, Report, at_least, at_most, ratio
from bench.server import Program, cpu_of_runs_s, fill, status, stopped_headway
from bench.wire import Connection, Unexpected

SUMMARY = (
    "2,000 × /bin/true at concurrency 2, beside Huey, Celery, RQ, task-spooler, parallel, xargs"
)
CONCURRENCY = 2
TIMEOUT_S = 300.0
LOOK_S = 0.1
HEADWAY, BARE, HUEY = "headway", "headway, adopt = false", "Huey, 2 threads"
FILED = 'headway, output = "file"'
PIPE_CPU_MS_MAX = 1.5
LOOP, BARE_LOOP = "bare loop with the shim", "bare loop"
PROMISES = "the same rows and files on Trio"
FLOORS = {LOOP: HEADWAY, BARE_LOOP: BARE, PROMISES: BARE}
"""Lower bounds, and the side that each belongs to: see `bare_peer.py` and `floor_peer.py`."""
TSP, PARALLEL, XARGS = "task-spooler", "GNU parallel -j2", "xargs -P2 (keeps nothing)"
PROGRAMS = {TSP: "task-spooler (tsp)", PARALLEL: "GNU parallel", XARGS: "xargs"}


def run(directory: Path, quick: bool) -> Report:
    """Rounds in turn; the order is reversed in every other one."""
    rounds, count = (2, 200) if quick else (3, 2_000)
    with stopped_headway(directory / "headway", concurrency=CONCURRENCY) as server:
        sides: dict[str, Callable[[int], float]] = {
            HEADWAY: lambda _: drain(server, "true", count),
            FILED: lambda _: drain(server, "filed", count),
            BARE: lambda _: drain(server, "bare", count),
            HUEY: lambda number: huey_drain(directory / f"huey-{number}.db", count),
        }
        for name, shim in ((LOOP, True), (BARE_LOOP, False)):
            sides[name] = partial(_in_a_loop, directory, count, shim)
        sides[PROMISES] = lambda number: floor_drain(directory / f"floor-{number}", count)
        sides |= _peers(directory, count, quick)
        found: dict[str, list[float]] = {name: [] for name in sides}
        cpu_ms: dict[str, list[float]] = {HEADWAY: [], FILED: []}
        for number in range(rounds):
            for name in list(sides)[:: 1 if number % 2 else -1]:
                begin_s = cpu_of_runs_s(server, directory / "headway" / "data")
                found[name].append(count / sides[name](number))
                if name in cpu_ms:
                    end_s = cpu_of_runs_s(server, directory / "headway" / "data")
                    cpu_ms[name].append((end_s - begin_s) * 1000 / count)
    figures = {name: Figure(name, "runs/s", tuple(v)) for name, v in found.items()}
    return _report(figures, _pipe(cpu_ms), quick)


def _pipe(cpu_ms: dict[str, list[float]]) -> Figure:
    """The cost of whole output for a run."""
    more = (piped - filed for piped, filed in zip(*cpu_ms.values(), strict=True))
    name = 'CPU of a run, more than with output = "file"'
    return Figure(name, "ms", tuple(more), at_most(PIPE_CPU_MS_MAX))


def _peers(directory: Path, count: int, quick: bool) -> dict[str, Callable[[int], float]]:
    """The sides that are measured where they are installed."""
    sides: dict[str, Callable[[int], float]] = {}
    for peer in redis_peer.measured(quick):
        sides[peer.name] = partial(_in_redis, peer, directory, count)
    if shutil.which("tsp"):
        sides[TSP] = lambda number: tsp_peer.drain(directory / f"tsp-{number}", count)
    if xargs_peer.parallel_is_here():
        sides[PARALLEL] = lambda number: xargs_peer.parallel(
            directory / f"parallel-{number}", count
        )
    if shutil.which("xargs"):
        sides[XARGS] = lambda _: xargs_peer.xargs(count)
    return sides


def _in_a_loop(directory: Path, count: int, shim: bool, number: int) -> float:
    return bare_drain(directory / f"loop-{shim}-{number}.db", count, shim=shim)


def _in_redis(peer: RedisPeer, directory: Path, count: int, number: int) -> float:
    return peer.drain(directory / f"{peer.module}-{number}", count)


def drain(server: Program, job_type: str, count: int) -> float:
    """Seconds from the start of the scheduler to the recorded end of the last run."""
    with server.connect() as connection:
        before = status(connection)["cumulative_stats"]
        fill(server, count, job_type)
        begin = time.time()
        connection.json("POST", "/scheduler/start")
        _until_drained(connection)
        connection.json("POST", "/scheduler/stop", {})
        after = status(connection)["cumulative_stats"]
        if after["succeeded"] - before["succeeded"] != count:
            raise Unexpected(f"{count} runs were queued; before {before}, after {after}")
        page = connection.json("GET", f"/jobs?status=COMPLETED&limit={CONCURRENCY * 4}")
    return max(moment(job["finished_at"]) for job in page["jobs"]) - begin


def moment(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()


def _until_drained(connection: Connection) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        now = status(connection)
        if not now["queue_length"] and not now["running_job_ids"]:
            return
        time.sleep(LOOK_S)
    raise TimeoutError(f"the queue did not drain in {TIMEOUT_S:g} s: {now}")


def _report(figures: dict[str, Figure], pipe: Figure, quick: bool) -> Report:
    ours = figures[HEADWAY]
    ratios = [
        ratio(f"{BARE} / Huey", figures[BARE], figures[HUEY], at_least(1)),
        ratio("headway / Huey", ours, figures[HUEY]),
        ratio(f"headway / {FILED}", ours, figures[FILED]),
    ]
    if TSP in figures:
        ratios.insert(0, ratio("headway / task-spooler", ours, figures[TSP], at_least(1)))
        ratios.append(ratio(f"{LOOP} / task-spooler", figures[LOOP], figures[TSP]))
    ratios += [ratio(f"{f} / Huey", figures[f], figures[HUEY]) for f in (BARE_LOOP, PROMISES)]
    ratios += [ratio(f"{FLOORS[f]} / {f}", figures[FLOORS[f]], figures[f]) for f in FLOORS]
    for name, figure in figures.items():
        if name not in (HEADWAY, FILED, BARE, HUEY, TSP, *FLOORS):
            ratios.append(ratio(f"headway / {name.partition(' -')[0]}", ours, figure))
    notes = [
        f"{PROGRAMS[name]}: not installed, not judged" for name in PROGRAMS if name not in figures
    ]
    return Report((*ratios, pipe, *figures.values()), (*redis_peer.notes(quick), *notes))
