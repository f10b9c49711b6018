"""Process trees as /proc shows them (proc(5)): who descends from whom, and whose it is.

Only reads. A process id is a name that can be given again, so whoever signals one compares the
start time that stands beside it here; `send` does.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

RUN_ID_VARIABLE = b"HEADWAY_RUN_ID="


@dataclass(frozen=True, slots=True)
class Seen:
    """A process at one moment. `start_ticks`: clock ticks after boot; with `pid` it is unique."""

    pid: int
    state: str
    parent: int
    session: int
    start_ticks: int

    @property
    def lives(self) -> bool:
        """Neither a zombie nor gone."""
        return self.state not in "ZX"


def look(pid: int) -> Seen | None:
    """The process with this id now, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read(4096).rpartition(b") ")[2].split()
    except OSError:
        return None
    return Seen(pid, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def children(pid: int) -> list[int]:
    """Direct children, of whichever thread (needs CONFIG_PROC_CHILDREN, as common kernels have)."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def own_children() -> list[int]:
    """Our direct children, where only the main thread spawns.

    Orphans come to the first thread of their subreaper, and the others need not be asked: with
    five threads this is a tenth of the cost, and it is paid at the end of each run.
    """
    pid = os.getpid()
    try:
        descriptor = os.open(f"/proc/self/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    found = b""
    try:
        while piece := os.read(descriptor, 65_536):
            found += piece
    finally:
        os.close(descriptor)
    return [int(word) for word in found.split()]


def with_descendants(roots: Iterable[int]) -> list[Seen]:
    """The living among `roots` and all that descends from them."""
    found: dict[int, Seen] = {}
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found and (seen := look(pid)) is not None:
            found[pid] = seen
            todo += children(pid)
    return [seen for seen in found.values() if seen.lives]


def run_id_of(pid: int) -> str | None:
    """The run id that the process carries in its environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return None
    for entry in environment.split(b"\0"):
        if entry.startswith(RUN_ID_VARIABLE):
            return entry[len(RUN_ID_VARIABLE) :].decode(errors="replace")
    return None


def carriers(run_ids: frozenset[str]) -> Iterator[Seen]:
    """Every living process of the host that carries one of these run ids: a walk over all."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and run_id_of(int(entry)) in run_ids:
            seen = look(int(entry))
            if seen is not None and seen.lives:
                yield seen


def send(seen: Seen, number: signal.Signals) -> None:
    """Signal exactly the process that was seen: the pidfd is opened first, then compared."""
    with suppress(OSError):
        pidfd = os.pidfd_open(seen.pid)
        try:
            now = look(seen.pid)
            if now is not None and now.start_ticks == seen.start_ticks:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
