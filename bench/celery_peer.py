"""Celery on a Redis of its own, in processes of their own.

python -m bench.celery_peer DIRECTORY COUNT   ns from a call to the program, idle warm worker
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from celery import Celery  # type: ignore[import-untyped]

from bench.huey_peer import STAMP
from bench.machine import ROOT
from bench.pause import pauses

URL_VARIABLE = "BENCH_REDIS_URL"
TIMEOUT_S = 300.0
START_TIMEOUT_S = 30.0

app = Celery("bench.celery_peer", broker=os.environ.get(URL_VARIABLE))
app.conf.result_backend = os.environ.get(URL_VARIABLE)


@app.task(name="run")  # type: ignore[untyped-decorator]
def run(argv: list[str]) -> str:
    """Run a program, return its output."""
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.decode()


def latencies_apart(directory: Path, count: int) -> list[float]:
    """Milliseconds, one a task."""
    directory.mkdir(parents=True)
    port = free_port()
    redis = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )
    try:
        environment = {**os.environ, URL_VARIABLE: f"redis://127.0.0.1:{port}/0"}
        until_listening(port)
        done = subprocess.run(
            [sys.executable, "-m", "bench.celery_peer", str(count)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
            timeout=TIMEOUT_S,
        )
    finally:
        redis.terminate()
        redis.wait(10)
    return [ns / 1e6 for ns in json.loads(done.stdout)]


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def until_listening(port: int) -> None:
    """Return when something accepts connections there."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port}")


def latency(count: int) -> list[int]:
    """Nanoseconds, with one worker process that is warm."""
    command = [sys.executable, "-m", "celery", "-A", "bench.celery_peer", "worker"]
    command += ["--concurrency=1", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
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
