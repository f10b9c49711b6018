"""Whether the disk of the data directory has the free space that a run needs.

A run needs a directory, a log and rows; on a disk that is nearly full it would fail. Therefore
nothing starts there until there is space again. A shortage that appears during a start is handled
in `run_lifecycle.py`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

FREE_INODES_MIN = 1_000
"""A run uses about six. On a file system with few inodes the minimum is a twentieth of them."""
MIB = 1 << 20


class Space(Protocol):
    """The fields of `os.statvfs` that are read."""

    @property
    def f_frsize(self) -> int: ...
    @property
    def f_bavail(self) -> int: ...
    @property
    def f_files(self) -> int: ...
    @property
    def f_favail(self) -> int: ...


class FreeSpace:
    """The file system of `directory`."""

    def __init__(self, directory: Path, statvfs: Callable[[Path], Space] = os.statvfs) -> None:
        self._directory = directory
        self._statvfs = statvfs

    def shortage(self, keep_bytes: int) -> str | None:
        """The shortage as a sentence, or None. Takes 2 µs.

        `keep_bytes` must remain free; 0 disables the check.
        """
        if keep_bytes == 0:
            return None
        try:
            space = self._statvfs(self._directory)
        except OSError as error:
            return f"the data directory cannot be looked at: {error.strerror}"
        if space.f_bavail * space.f_frsize < keep_bytes:
            return (
                f"less than {keep_bytes / MIB:g} MiB are free on the disk of the data"
                " directory: free space, or lower free_space_bytes"
            )
        if space.f_favail < min(FREE_INODES_MIN, space.f_files // 20):
            return "hardly any inodes are free on the disk of the data directory: remove files"
        return None
