"""RQ: the inside of the processes that `redis_peer.py` starts beside a Redis.

python -m bench.rq_peer drain DIRECTORY COUNT     seconds in which 2 workers run COUNT × /bin/true
python -m bench.rq_peer latency DIRECTORY COUNT   ns from a call to the program, idle worker
python -m bench.rq_peer work                      a worker, until a signal

A worker is RQ's own default: it forks for each job.
"""

import json
import os
import sys
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

# Measured only where they are installed.
from redis import Redis  # type: ignore[import-not-found,unused-ignore]
from rq import Queue, Worker  # type: ignore[import-not-found,unused-ignore]

from bench.gate import Gate
from bench.pause import pauses
from bench.peer import STAMP, recorded, running
from bench.redis_peer import START_TIMEOUT_S, URL_VARIABLE

SLOTS = 2
TIMEOUT_S = 240.0
LOOK_S = 0.1
RUN = "bench.rq_peer.run"
"""By name, because RQ rejects a function of the main module."""


def run(argv: list[str]) -> list[Any]:
    """Run a program; RQ keeps its status and output for 500 s."""
    return recorded(argv)


def worker() -> AbstractContextManager[None]:
    """One slot."""
    return running([sys.executable, "-m", "bench.rq_peer", "work"])


def drain(queue: Queue, directory: Path, count: int) -> float:
    """Seconds from the gate to the last end that RQ recorded. The queue is full before."""
    gate = Gate(directory, SLOTS)
    for command in gate.commands:
        queue.enqueue(RUN, command)
    jobs = [queue.enqueue(RUN, ["/bin/true"]) for _ in range(count)]
    with ExitStack() as workers:
        for _ in range(SLOTS):
            workers.enter_context(worker())
        begin = gate.open()
        _until_done(jobs)
    return max(_end(queue, job.id) for job in jobs) - begin


def _end(queue: Queue, job_id: str) -> float:
    """When it ended, in seconds since 1970."""
    job = queue.fetch_job(job_id)
    if job is None or job.return_value() != [0, ""] or job.ended_at is None:
        raise RuntimeError(f"the run of {job_id} did not succeed")
    return float(job.ended_at.timestamp())


def _until_done(jobs: list[Any]) -> None:
    """Wait for the last ones, since they start in order; poll rarely, which costs CPU."""
    deadline = time.monotonic() + TIMEOUT_S
    while not all(job.latest_result() for job in jobs[-SLOTS:]):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(jobs)} runs did not end in {TIMEOUT_S:g} s")
        time.sleep(LOOK_S)


def latency(queue: Queue, _: Path, count: int) -> list[int]:
    """Nanoseconds, with one worker that is up."""
    with worker():
        _stamp(queue, int(START_TIMEOUT_S))
        found = []
        for pause_s in pauses(count):
            time.sleep(pause_s)
            begin = time.time_ns()
            found.append(_stamp(queue, 10) - begin)
    return found


def _stamp(queue: Queue, timeout_s: int) -> int:
    result = queue.enqueue(RUN, STAMP).latest_result(timeout=timeout_s)
    if result is None or result.return_value is None:
        raise TimeoutError(f"no output in {timeout_s} s")
    return int(result.return_value[1])


def main() -> None:
    """The process."""
    mode, *rest = sys.argv[1:]
    connection = Redis.from_url(os.environ[URL_VARIABLE])
    queue = Queue(connection=connection)
    if mode == "work":
        Worker([queue], connection=connection).work(logging_level="WARNING")
        return
    measure = drain if mode == "drain" else latency
    print(json.dumps(measure(queue, Path(rest[0]), int(rest[1]))))


if __name__ == "__main__":
    main()
