"""recovery: kill -9 with a long queue and 8 running programs; the time until the next server is up.

It is up when its ready line is printed, `GET /ready` is 200, the same 8 Jobs are running, their
processes live, and the log has 8 adopted runs. The start of an empty server in the same run shows
how much of that is Python.
"""

import time
from pathlib import Path

from bench.result import Figure, Report, at_most, percentile, ratio
from bench.server import READY_TIMEOUT_S, Program, fill, headway, status
from bench.wire import Connection, Unexpected
from tests.server_process import is_alive

SUMMARY = "kill -9 with 100,000 queued and 8 running, to ready with every run settled"
QUEUED = 100_000
RUNNING = 8
GOAL_S = 1.0


def run(directory: Path, quick: bool) -> Report:
    """Kill after kill, with a start of an empty server between them."""
    kills = 3 if quick else 100
    recovered, empty = list[float](), list[float]()
    server = headway(directory / "headway", concurrency=RUNNING)
    with server:
        with server.connect() as connection:
            fill(server, RUNNING, "sleep")
            fill(server, QUEUED)
            running = _until_running(connection)
        for number in range(kills):
            server.kill()
            recovered.append(_recover(server, running))
            other = headway(directory / f"empty-{number}")
            empty.append(other.start())
            other.stop()
    return _report(recovered, empty)


def _until_running(connection: Connection) -> dict[str, int]:
    """Job ids with the process ids of their runs, once all slots are filled."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        ids = status(connection)["running_job_ids"]
        pids = {job_id: _pid(connection, job_id) for job_id in ids}
        found = {job_id: pid for job_id, pid in pids.items() if pid is not None}
        if len(found) == RUNNING:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{RUNNING} programs did not start")


def _pid(connection: Connection, job_id: str) -> int | None:
    (run,) = connection.json("GET", f"/jobs/{job_id}/runs")["runs"]
    pid = run["pid"]
    assert pid is None or isinstance(pid, int)
    return pid


def _recover(server: Program, running: dict[str, int]) -> float:
    """Seconds from the start of the process until it is up."""
    begin = time.perf_counter()
    server.start()
    with server.connect() as connection:
        connection.exchange("GET", "/ready")
        while server.stderr().count('"run adopted"') < RUNNING:
            if time.perf_counter() - begin > READY_TIMEOUT_S:
                raise TimeoutError("the runs were not adopted")
            time.sleep(0.002)
        ids = set(status(connection)["running_job_ids"])
        elapsed = time.perf_counter() - begin
        if ids != set(running) or not all(is_alive(pid) for pid in running.values()):
            raise Unexpected(f"{running} ran before the kill, {ids} run now")
    return elapsed


def _report(recovered: list[float], empty: list[float]) -> Report:
    ours = Figure("recovered after", "s", tuple(recovered))
    start = Figure("start of an empty server", "s", tuple(empty))
    return Report(
        (
            Figure("recovery: p99", "s", (percentile(recovered, 99),), at_most(GOAL_S)),
            Figure("recovery: p50", "s", (percentile(recovered, 50),), at_most(GOAL_S)),
            ratio("recovery / start of an empty server", ours, start),
            ours,
            start,
        )
    )
