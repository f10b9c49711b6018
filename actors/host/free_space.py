"""Whether the disk of the data directory has the space that is kept free before anything starts.

A run needs a directory, a log and rows: on a disk that is nearly full it would fail for want of
them. So nothing starts there, until there is space again. What a run then finds lacking all the
same is in `run_lifecycle.py`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

FREE_INODES_MIN = 1_000
"""A run takes about six. On a file system with few inodes at all it is a twentieth of them."""
MIB = 1 << 20


class Space(Protocol):
    """What `os.statvfs` gives, as far as it is looked at."""

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
        """What there is too little of, as a sentence; None: there is enough. Takes 2 µs.

        So many bytes stay free; 0 asks for nothing.
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
