"""Other job servers, each in processes of its own, so that none is imported here."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.machine import ROOT

TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 10.0
STAMP = ["/bin/date", "+%s%N"]
"""The program whose first instructions are timed: it prints the clock in nanoseconds."""


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
    return answer([sys.executable, "-m", "bench.huey_peer", mode, str(file), str(count)])


def answer(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """The output of a peer's process, parsed as JSON. If it is late, it is ended with its
    workers.
    """
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that its workers can be ended by its id
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return json.loads(output)


@contextmanager
def running(command: Sequence[str], *, quiet: bool = False) -> Iterator[None]:
    """Run a worker or a broker during the block: TERM at its end, then KILL if necessary."""
    output = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def recorded(argv: Sequence[str]) -> list[Any]:
    """Run a program, for a queue that keeps what this returns: status and output."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return [done.returncode, done.stdout.decode()]
