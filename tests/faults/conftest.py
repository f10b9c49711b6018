"""Real servers as in tests/contract, on hosts that fail."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import (  # noqa: F401 - fixtures and a hook
    _deadline,
    _next_server,
    _shared,
    gate,
    launch,
    new_gate,
    pytest_runtest_makereport,
    server,
)
from tests.eventually import eventually


class SmallDisk:
    """A file system in memory that has little space, so that it can be filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filler = path / "filler"

    def mount(self, *options: str) -> None:
        """Mount it, or with `remount` change it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with_mode = ",".join(("mode=700", *options))
        command = ["mount", "-t", "tmpfs", "-o", with_mode, "none", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this host forbids mounting: {done.stderr.strip()}")

    def fill(self, but_bytes: int = 0) -> None:
        """Take all the space that is left."""
        with self.filler.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(65_536)):
                pass
        with self.filler.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(512)):
                pass
        if but_bytes:
            os.truncate(self.filler, self.filler.stat().st_size - but_bytes)

    def free(self) -> None:
        """Give it back."""
        self.filler.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., SmallDisk]]:
    """Mounts a small disk at a path; to be asked for before `launch`, which must end first."""
    with ExitStack() as stack:

        def make(path: Path, *options: str) -> SmallDisk:
            disk = SmallDisk(path)
            disk.mount(*options)
            stack.callback(subprocess.run, ["umount", "-l", str(path)], check=True)
            return disk

        yield make


@pytest.fixture
def strace() -> Iterator[Callable[..., Any]]:
    """Lets chosen system calls of a living server fail: `strace(server, "inject=…")`."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not here")

    tracers: list[subprocess.Popen[bytes]] = []

    def attach(on: Any, *expressions: str, threads: bool = True) -> subprocess.Popen[bytes]:
        command = ["strace", "-qq", "-o", os.devnull, "-p", str(on.pid)]
        if threads:
            command.insert(1, "-f")
        for expression in expressions:
            command += ["-e", expression]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
        tracers.append(tracer)

        def traced() -> bool:
            if tracer.poll() is not None:
                assert tracer.stderr is not None
                pytest.skip(f"strace may not attach: {tracer.stderr.read().decode()}")
            return all(map(is_traced, os.listdir(f"/proc/{on.pid}/task")))

        eventually(traced, "strace attaches")
        return tracer

    yield attach
    for tracer in tracers:
        tracer.kill()
        with tracer:
            pass


def is_traced(task: str) -> bool:
    with suppress(OSError):
        return "\nTracerPid:\t0\n" not in Path(f"/proc/{task}/status").read_text()
    return True


@pytest.fixture
def ended() -> Callable[..., str]:
    """Waits for a server to end by itself; gives what it said last of all."""

    def ended(one: Any, status: int = 1) -> str:
        assert one.wait() == status, one.log()
        lines = re.findall(r"^headway: .*$", one.log(), re.M)
        assert lines, one.log()
        return str(lines[-1])

    return ended
