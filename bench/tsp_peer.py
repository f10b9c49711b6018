"""task-spooler, with its queue filled before its two slots are free."""

import os
import subprocess
import time
from pathlib import Path

JOBS_PER_FILL = 500
"""Each waiting job is a process of its own and a connection to tsp's server, which has a limit."""
SLOTS = 2
TIMEOUT_S = 120.0


def drain(directory: Path, count: int) -> float:
    """Seconds in which tsp runs `count` × /bin/true, output kept, in fills of `JOBS_PER_FILL`."""
    directory.mkdir(parents=True)
    gate = directory / "gate"
    os.mkfifo(gate)
    environment = {
        **os.environ,
        "TS_SOCKET": str(directory / "socket"),
        "TS_MAXFINISHED": str(2 * count),
        "TMPDIR": str(directory),
    }
    elapsed = 0.0
    try:
        _tsp(environment, "-S", str(SLOTS))
        for begin in range(0, count, JOBS_PER_FILL):
            elapsed += _drain_one(environment, gate, min(JOBS_PER_FILL, count - begin))
    finally:
        _tsp(environment, "-K")
    return elapsed


def _drain_one(environment: dict[str, str], gate: Path, count: int) -> float:
    """Fill behind programs that wait at the gate, open it, wait for the last two."""
    for _ in range(SLOTS):
        _tsp(environment, "/bin/cat", str(gate))
    ids = [_tsp(environment, "/bin/true") for _ in range(count)]
    begin = time.perf_counter()
    with gate.open("wb"):
        pass
    for number in ids[-SLOTS:]:
        _tsp(environment, "-w", number)
    return time.perf_counter() - begin


def _tsp(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["tsp", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        timeout=TIMEOUT_S,
        text=True,
    )
    return done.stdout.strip()
