"""Disk reserve: a file that holds back space, so that a cancel can be written on a full disk.

The file `headway.reserve` holds nothing but its blocks. Given up, they are what the write-ahead log
grows into; filled again at once, so that nothing but what is urgent takes them.
"""

import os
from contextlib import suppress
from pathlib import Path

from storage.data_directory import PRIVATE_FILE

FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
RESERVE_NAME = "headway.reserve"
RESERVE_BYTES = 4 * 1024 * 1024
"""A cancel takes about 40 KiB of log: enough for a hundred, one by one; together they take less."""


class DiskReserve:
    """The reserve's file. `size_bytes` 0: no space is held back."""

    def __init__(self, path: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def fill(self) -> None:
        """Take the space, or as much of it as the disk has left."""
        if self._size_bytes == 0:
            return
        with suppress(OSError):
            descriptor = os.open(self._path, FLAGS, PRIVATE_FILE)
            try:
                there = os.fstat(descriptor).st_size
                disk = os.fstatvfs(descriptor)
                wanted = min(self._size_bytes, there + disk.f_bavail * disk.f_frsize)
                if wanted > there:
                    os.posix_fallocate(descriptor, 0, wanted)
            finally:
                os.close(descriptor)

    def give_up(self) -> bool:
        """Give the space back to the disk. False: there is none."""
        try:
            held = self._path.stat().st_size > 0
            self._path.unlink()
        except OSError:
            return False
        return held
