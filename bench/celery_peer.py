"""Celery: the inside of the processes that `peer.py` starts beside a Redis.

python -m bench.celery_peer COUNT   ns from a call to the program, idle warm worker
"""

import json
import os
import subprocess
import sys
import time

# Measured only where it is installed.
from celery import Celery  # type: ignore[import-untyped,import-not-found,unused-ignore]

from bench.machine import ROOT
from bench.pause import pauses
from bench.peer import REDIS_URL_VARIABLE, STAMP, START_TIMEOUT_S

app = Celery("bench.celery_peer", broker=os.environ.get(REDIS_URL_VARIABLE))
app.conf.result_backend = os.environ.get(REDIS_URL_VARIABLE)


@app.task(name="run")  # type: ignore[untyped-decorator]
def run(argv: list[str]) -> str:
    """Run a program, return its output."""
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.decode()


def latency(count: int) -> list[int]:
    """Nanoseconds, with one worker process that is warm."""
    command = [sys.executable, "-m", "celery", "-A", "bench.celery_peer", "worker"]
    command += ["--concurrency=1", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
    # Its warnings (that it runs as root in a container) would stand between the results.
    worker = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        run.delay(STAMP).get(timeout=START_TIMEOUT_S)
        found = []
        for pause_s in pauses(count):
            time.sleep(pause_s)
            begin = time.time_ns()
            found.append(int(run.delay(STAMP).get(timeout=10)) - begin)
    finally:
        worker.terminate()
        worker.wait(30)
    return found


def main() -> None:
    """The process."""
    print(json.dumps(latency(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
