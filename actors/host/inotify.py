"""Wait for changes of files without polling (inotify(7)).

The standard library has no inotify, and third-party watchers start a thread that takes seconds to
cancel.
"""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_CREATE = 0x100
ITSELF = 0x1000000 | 0x2000000
"""IN_ONLYDIR and IN_DONT_FOLLOW: a directory, and none that a link leads to."""
_HEADER = struct.Struct("iIII")

_libc = ctypes.CDLL(None, use_errno=True)


close = os.close
"""How an instance is closed; a simulation, which has thousands, skips the 3 ms that it takes."""


class Inotify:
    """One inotify instance; a context manager."""

    def __init__(self) -> None:
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 failed")

    def __enter__(self) -> "Inotify":
        return self

    def __exit__(self, *_: object) -> None:
        close(self._descriptor)

    def watch(self, path: Path, mask: int = IN_MODIFY) -> int:
        """Start a watch; returns the number that its events carry.

        Raises:
            OSError: the file does not exist, or the host's max_user_watches is reached.
        """
        watch: int = _libc.inotify_add_watch(self._descriptor, os.fsencode(path), mask)
        if watch < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
        return watch

    def unwatch(self, watch: int) -> None:
        """Stop a watch. The watch of a deleted file is gone already."""
        with suppress(OSError):
            _libc.inotify_rm_watch(self._descriptor, watch)

    async def changes(self) -> set[int]:
        """Wait for changes; returns the watches with an event since the last call."""
        while True:
            try:
                data = os.read(self._descriptor, 65_536)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._descriptor)
            else:
                return set(_watches(data))


def _watches(data: bytes) -> Iterator[int]:
    offset = 0
    while offset < len(data):
        watch, _mask, _cookie, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size + length
        yield watch


class FileWatcher:
    """One inotify instance for any number of waiters (a user may have only 128 instances)."""

    def __init__(self) -> None:
        self._inotify: Inotify
        self._waiters: dict[int, set[trio.Event]] = {}

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wake waiters. Runs until cancelled, and must be started before the first wait."""
        with Inotify() as self._inotify:
            task_status.started()
            while True:
                for watch in await self._inotify.changes():
                    for event in self._waiters.get(watch, ()):
                        event.set()

    @contextmanager
    def watching(self, path: Path) -> Iterator[trio.Event]:
        """An event that is set when the file is written to, once."""
        event = trio.Event()
        watch = self._inotify.watch(path)
        self._waiters.setdefault(watch, set()).add(event)
        try:
            yield event
        finally:
            self._waiters[watch].discard(event)
            if not self._waiters[watch]:
                del self._waiters[watch]
                self._inotify.unwatch(watch)
