"""Celery and RQ: a Redis on loopback, and a process of `celery_peer.py` or `rq_peer.py` beside it.

The Redis keeps nothing on disk, and its data ends with its process: the peers' fastest case.
"""

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.peer import answer, running

START_TIMEOUT_S = 30.0
LOOK_S = 0.02
URL_VARIABLE = "BENCH_REDIS_URL"
SERVER = "redis-server"


@dataclass(frozen=True, slots=True)
class RedisPeer:
    """A queue in Redis, measured by `bench.MODULE_peer`, which imports MODULE."""

    name: str
    module: str

    @property
    def missing(self) -> list[str]:
        """What must be installed before it can be measured."""
        modules = [name for name in (self.module, "redis") if find_spec(name) is None]
        return modules if shutil.which(SERVER) else [*modules, SERVER]

    def drain(self, directory: Path, count: int) -> float:
        """Seconds from the opening of the gate to the end of the last of `count` programs."""
        return float(self._ask("drain", directory, count))

    def latencies(self, directory: Path, count: int) -> list[float]:
        """Milliseconds, one a task."""
        return [ns / 1e6 for ns in self._ask("latency", directory, count)]

    def _ask(self, mode: str, directory: Path, count: int) -> Any:
        directory.mkdir(parents=True)
        command = [sys.executable, "-m", f"bench.{self.module}_peer", mode]
        with redis(directory) as url:
            environment = {**os.environ, URL_VARIABLE: url}
            return answer([*command, str(directory), str(count)], environment)


PEERS = (RedisPeer("Celery, Redis", "celery"), RedisPeer("RQ, Redis", "rq"))


def measured(quick: bool) -> list[RedisPeer]:
    """Those that are installed; none in a quick run, which their start would make long."""
    return [] if quick else [peer for peer in PEERS if not peer.missing]


def notes(quick: bool) -> list[str]:
    """A sentence about those that are not measured."""
    if quick:
        return ["quick: Celery and RQ are left out, and not judged"]
    return [
        f"{peer.name}: not installed ({', '.join(peer.missing)}), not judged"
        for peer in PEERS
        if peer.missing
    ]


@contextmanager
def redis(directory: Path) -> Iterator[str]:
    """Run a Redis during the block; yields its URL."""
    port = _free_port()
    command = [SERVER, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)]
    with running([*command, "--save", "", "--appendonly", "no"]):
        _until_listening(port)
        yield f"redis://127.0.0.1:{port}/0"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(LOOK_S)
    raise TimeoutError(f"{SERVER} does not listen on port {port}")
