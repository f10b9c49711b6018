"""Celery: the inside of the processes that `redis_peer.py` starts beside a Redis.

python -m bench.celery_peer drain DIRECTORY COUNT     seconds of COUNT × /bin/true, 2 at a time
python -m bench.celery_peer latency DIRECTORY COUNT   ns from a call to the program, idle worker
"""

import json
import os
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

# Measured only where it is installed.
from celery import Celery  # type: ignore[import-untyped,import-not-found,unused-ignore]

from bench.gate import Gate
from bench.pause import pauses
from bench.peer import STAMP, recorded, running
from bench.redis_peer import START_TIMEOUT_S, URL_VARIABLE

SLOTS = 2
TIMEOUT_S = 240.0
LOOK_S = 0.1

app = Celery("bench.celery_peer", broker=os.environ.get(URL_VARIABLE))
app.conf.result_backend = os.environ.get(URL_VARIABLE)


@app.task(name="run")  # type: ignore[untyped-decorator,unused-ignore]
def run(argv: list[str]) -> list[Any]:
    """Run a program; Celery keeps its status and output for a day."""
    return recorded(argv)


def worker(slots: int) -> AbstractContextManager[None]:
    """A worker with so many processes, which it keeps."""
    command = [sys.executable, "-m", "celery", "-A", "bench.celery_peer", "worker"]
    command += [f"--concurrency={slots}", "--loglevel=ERROR"]
    # Its warnings (that it runs as root in a container) would be mixed with the results.
    return running([*command, "--without-gossip", "--without-mingle"], quiet=True)


def drain(directory: Path, count: int) -> float:
    """Seconds from the gate to the last end that Celery recorded. The queue is full before."""
    gate = Gate(directory, SLOTS)
    for command in gate.commands:
        run.delay(command)
    tasks = [run.delay(["/bin/true"]) for _ in range(count)]
    with worker(SLOTS):
        begin = gate.open()
        _until_done(tasks)
    if any(task.result != [0, ""] for task in tasks):
        raise RuntimeError("a run did not succeed")
    return float(max(task.date_done.timestamp() for task in tasks) - begin)


def _until_done(tasks: list[Any]) -> None:
    """Wait for the last ones, since they start in order; poll rarely, which costs CPU."""
    deadline = time.monotonic() + TIMEOUT_S
    while not all(task.ready() for task in tasks[-SLOTS:]):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(tasks)} runs did not end in {TIMEOUT_S:g} s")
        time.sleep(LOOK_S)


def latency(_: Path, count: int) -> list[int]:
    """Nanoseconds, with one worker process that is warm."""
    with worker(1):
        run.delay(STAMP).get(timeout=START_TIMEOUT_S)
        found = []
        for pause_s in pauses(count):
            time.sleep(pause_s)
            begin = time.time_ns()
            _, output = run.delay(STAMP).get(timeout=10)
            found.append(int(output) - begin)
    return found


def main() -> None:
    """The process."""
    mode, directory, count = sys.argv[1:]
    print(json.dumps((drain if mode == "drain" else latency)(Path(directory), int(count))))


if __name__ == "__main__":
    main()
