"""runs: how many programs a second come out of a full queue, two at a time.

Every side begins with its queue full and has two slots. headway commits the intent and the end of
each run and keeps its output in a file; Huey keeps output and status of what ended, and forgets
what it had begun when it is killed; task-spooler keeps output files and a list in memory; xargs
keeps nothing. `adopt = false` is headway without the shim: like Huey it forgets what had begun when
it is killed, but says so.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bench import tsp_peer
from bench.peer import huey_drain
from bench.result import Figure, Report, at_least, ratio
from bench.server import Program, fill, status, stopped_headway
from bench.wire import Connection, Unexpected

SUMMARY = "2,000 × /bin/true at concurrency 2, beside Huey, task-spooler and xargs"
CONCURRENCY = 2
TIMEOUT_S = 300.0
LOOK_S = 0.1
HEADWAY, BARE, HUEY = "headway", "headway, adopt = false", "Huey, 2 threads"
TSP, XARGS = "task-spooler", "xargs -P2 (keeps nothing)"


def run(directory: Path, quick: bool) -> Report:
    """Rounds in turn; the order turns round in every other one."""
    rounds, count = (2, 300) if quick else (3, 2_000)
    with stopped_headway(directory / "headway", concurrency=CONCURRENCY) as server:
        sides: dict[str, Callable[[int], float]] = {
            HEADWAY: lambda _: drain(server, "true", count),
            BARE: lambda _: drain(server, "bare", count),
            HUEY: lambda number: huey_drain(directory / f"huey-{number}.db", count),
        }
        if shutil.which("tsp"):
            sides[TSP] = lambda number: tsp_peer.drain(directory / f"tsp-{number}", count)
        if shutil.which("xargs"):
            sides[XARGS] = lambda _: xargs(count)
        found: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds):
            for name in list(sides)[:: 1 if number % 2 else -1]:
                found[name].append(count / sides[name](number))
    return _report({name: Figure(name, "runs/s", tuple(v)) for name, v in found.items()})


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


def xargs(count: int) -> float:
    """Seconds in which xargs runs as many, with nothing queued, kept or recorded."""
    numbers = "\n".join(map(str, range(count)))
    begin = time.perf_counter()
    subprocess.run(
        ["xargs", "-n1", f"-P{CONCURRENCY}", "/bin/true"],
        input=numbers.encode(),
        check=True,
        timeout=TIMEOUT_S,
    )
    return time.perf_counter() - begin


def _until_drained(connection: Connection) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        now = status(connection)
        if not now["queue_length"] and not now["running_job_ids"]:
            return
        time.sleep(LOOK_S)
    raise TimeoutError(f"the queue did not drain in {TIMEOUT_S:g} s: {now}")


def _report(figures: dict[str, Figure]) -> Report:
    ours = figures[HEADWAY]
    ratios = [
        ratio(f"{BARE} / Huey", figures[BARE], figures[HUEY], at_least(1)),
        ratio("headway / Huey", ours, figures[HUEY]),
    ]
    notes = []
    if TSP in figures:
        ratios.insert(0, ratio("headway / task-spooler", ours, figures[TSP], at_least(1)))
    else:
        notes.append("tsp is not installed: the goal against task-spooler was not judged")
    if XARGS in figures:
        ratios.append(ratio("headway / xargs", ours, figures[XARGS]))
    return Report((*ratios, *figures.values()), tuple(notes))
