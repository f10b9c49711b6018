"""A gate in front of a full queue: only the work of the workers is measured, not their start.

The first task of each slot is a program that waits at a named pipe. When every slot waits there,
all workers are up and nothing else has run; then the gate opens.
"""

import errno
import os
import time
from pathlib import Path

START_TIMEOUT_S = 60.0
LOOK_S = 0.005
STAY_S = 120
"""A program that was not let through ends by itself after this time."""


class Gate:
    """One pipe a slot, in a directory that exists."""

    def __init__(self, directory: Path, slots: int) -> None:
        self._pipes = [directory / f"gate-{number}" for number in range(slots)]
        for pipe in self._pipes:
            os.mkfifo(pipe)

    @property
    def commands(self) -> list[list[str]]:
        """The first tasks to queue, one for each slot."""
        return [["timeout", str(STAY_S), "cat", str(pipe)] for pipe in self._pipes]

    def open(self, timeout_s: float = START_TIMEOUT_S) -> float:
        """Wait until each slot waits, then let all continue. Returns the moment, in seconds since
        1970.
        """
        deadline = time.monotonic() + timeout_s
        ends: list[int] = []
        try:
            for pipe in self._pipes:
                ends.append(_held(pipe, deadline))
            begin = time.time()
        finally:
            for end in ends:
                os.close(end)
        return begin


def _held(pipe: Path, deadline: float) -> int:
    """The pipe's end for writing, as soon as the other end is open."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        if time.monotonic() > deadline:
            raise TimeoutError(f"no worker came to {pipe}: they did not start")
        time.sleep(LOOK_S)
