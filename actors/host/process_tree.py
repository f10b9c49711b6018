"""Process trees as /proc shows them (proc(5)): descent, and the run that a process belongs to.

Process ids are reused. Therefore a signal is sent only after the start time was compared, which
`send` does.

Invariant: an empty result means that there is no process, never that no descriptor was free to
look: some are reserved for that.
"""

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

RUN_ID_VARIABLE = b"HEADWAY_RUN_ID="
GONE = (FileNotFoundError, ProcessLookupError)
SCARCE = (errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A process at one moment. `start_ticks`: clock ticks after boot; with `pid` it is unique."""

    pid: int
    state: str
    parent: int
    session: int
    start_ticks: int

    @property
    def lives(self) -> bool:
        """Whether it is neither a zombie nor gone."""
        return self.state not in "ZX"


def look(pid: int) -> ProcessState | None:
    """The process with this id now, or None."""
    try:
        fields = (
            with_reserved_descriptor(lambda: _read_once(f"/proc/{pid}/stat"))
            .rpartition(b") ")[2]
            .split()
        )
    except GONE:
        return None
    return ProcessState(pid, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def children(pid: int) -> list[int]:
    """Direct children of all its threads (needs CONFIG_PROC_CHILDREN, as common kernels have)."""
    found: list[int] = []
    with suppress(*GONE):
        for thread in with_reserved_descriptor(lambda: os.listdir(f"/proc/{pid}/task")):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def own_children() -> list[int]:
    """Direct children of this process, where only the main thread spawns.

    Orphans become children of the first thread of their subreaper, so the others are not read: with
    five threads this is a tenth of the cost, which is paid at the end of each run.
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


def with_descendants(roots: Iterable[int]) -> list[ProcessState]:
    """The living processes among `roots` and all of their descendants."""
    found: dict[int, ProcessState] = {}
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found and (seen := look(pid)) is not None:
            found[pid] = seen
            todo += children(pid)
    return [seen for seen in found.values() if seen.lives]


def run_id_of(pid: int, variable: bytes = RUN_ID_VARIABLE) -> str | None:
    """The run id in the environment of a process, or the value of another variable."""
    try:
        environment = _read(f"/proc/{pid}/environ")
    except (*GONE, PermissionError):
        return None
    for entry in environment.split(b"\0"):
        if entry.startswith(variable):
            return entry[len(variable) :].decode(errors="replace")
    return None


def carriers(run_ids: frozenset[str], variable: bytes = RUN_ID_VARIABLE) -> Iterator[ProcessState]:
    """Every living process of the host that carries one of these run ids; reads all of /proc.

    With another `variable`: one of these values in it.
    """
    for entry in with_reserved_descriptor(lambda: os.listdir("/proc")):
        if entry.isdigit() and run_id_of(int(entry), variable) in run_ids:
            seen = look(int(entry))
            if seen is not None and seen.lives:
                yield seen


def send(seen: ProcessState, number: signal.Signals) -> None:
    """Send a signal to exactly this process: its pidfd is opened first, then compared."""
    with suppress(*GONE, PermissionError):
        with_reserved_descriptor(lambda: _send(seen, number))


def _send(seen: ProcessState, number: signal.Signals) -> None:
    pidfd = os.pidfd_open(seen.pid)
    try:
        now = look(seen.pid)
        if now is not None and now.start_ticks == seen.start_ticks:
            signal.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)


# ---- descriptors -------------------------------------------------------------------------------

RESERVED_DESCRIPTORS = 3
"""For a pidfd, a file of /proc, and one that another thread takes in between."""
_reserved: list[int] = []
_lock = threading.RLock()


def keep_reserved_descriptors() -> None:
    """Open descriptors in reserve, for when no others are free."""
    with _lock, suppress(OSError):
        while len(_reserved) < RESERVED_DESCRIPTORS:
            _reserved.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


def with_reserved_descriptor(call: Callable[[], T]) -> T:
    """Return `call()`; if no descriptor is free, release the reserved ones for it."""
    if len(_reserved) < RESERVED_DESCRIPTORS:
        keep_reserved_descriptors()
    try:
        return call()
    except OSError as error:
        if error.errno not in SCARCE:
            raise
    with _lock:
        while _reserved:
            os.close(_reserved.pop())
        try:
            return call()
        finally:
            keep_reserved_descriptors()


def _read_once(path: str) -> bytes:
    """Read a short file of /proc, for which one read(2) is enough."""
    with open(path, "rb", buffering=0) as file:
        return file.read(4096)


def _read(path: str) -> bytes:
    def read() -> bytes:
        with open(path, "rb") as file:
            return file.read()

    return with_reserved_descriptor(read)
