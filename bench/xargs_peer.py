"""xargs and GNU parallel: no server, no queue; each runs what it reads and ends."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SLOTS = 2
TIMEOUT_S = 300.0


def xargs(count: int) -> float:
    """Seconds in which xargs runs as many, with nothing queued, kept or recorded."""
    return _timed(["xargs", "-n1", f"-P{SLOTS}", "/bin/true"], count)


def parallel_is_here() -> bool:
    """Whether `parallel` is GNU's: moreutils has another one of that name."""
    if shutil.which("parallel") is None:
        return False
    # moreutils' parallel treats this as a program, which does not exist.
    said = subprocess.run(
        ["parallel", "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S
    )
    return said.stdout.startswith(b"GNU parallel")


def parallel(directory: Path, count: int) -> float:
    """Seconds in which GNU parallel runs as many and writes a line about each in its job log."""
    directory.mkdir(parents=True)
    log = directory / "log"
    # A home of its own: parallel stores facts about the machine there.
    environment = {**os.environ, "PARALLEL_HOME": str(directory), "TMPDIR": str(directory)}
    command = ["parallel", f"-j{SLOTS}", "-n1", "--joblog", str(log), "/bin/true"]
    elapsed = _timed(command, count, environment)
    statuses = [line.split("\t")[6] for line in log.read_text().splitlines()[1:]]
    if statuses != ["0"] * count:
        raise RuntimeError(f"{count} runs, and {statuses.count('0')} recorded as succeeded")
    return elapsed


def _timed(command: Sequence[str], count: int, environment: dict[str, str] | None = None) -> float:
    numbers = "\n".join(map(str, range(count)))
    begin = time.perf_counter()
    subprocess.run(command, input=numbers.encode(), env=environment, check=True, timeout=TIMEOUT_S)
    return time.perf_counter() - begin
