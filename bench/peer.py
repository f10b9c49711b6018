"""Other job servers, each in processes of its own, so that nothing of theirs is imported here."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.machine import ROOT

TIMEOUT_S = 300.0
START_TIMEOUT_S = 30.0
REDIS_URL_VARIABLE = "BENCH_REDIS_URL"
STAMP = ["/bin/date", "+%s%N"]
"""The program whose first instructions are waited for: it prints the clock in nanoseconds."""


def huey_enqueue(file: Path, count: int) -> float:
    """Seconds to enqueue `count` tasks."""
    return float(_huey("enqueue", file, count))


def huey_drain(file: Path, count: int) -> float:
    """Seconds from the start of the workers to the end of the last of `count` programs."""
    return float(_huey("drain", file, count))


def huey_latencies(file: Path, count: int) -> list[float]:
    """Milliseconds, one a task."""
    return [ns / 1e6 for ns in _huey("latency", file, count)]


def _huey(mode: str, file: Path, count: int) -> Any:
    command = [sys.executable, "-m", "bench.huey_peer", mode, str(file), str(count)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=True
    )
    return json.loads(done.stdout)


def celery_is_here() -> bool:
    """Whether Celery, its client for Redis and a Redis are installed."""
    modules = all(find_spec(name) is not None for name in ("celery", "redis"))
    return modules and shutil.which("redis-server") is not None


def celery_latencies(directory: Path, count: int) -> list[float]:
    """Milliseconds, one a task."""
    directory.mkdir(parents=True)
    port = free_port()
    redis = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )
    try:
        environment = {**os.environ, REDIS_URL_VARIABLE: f"redis://127.0.0.1:{port}/0"}
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
