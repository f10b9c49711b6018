"""Empty directories on their way from one run to the next.

A run begins with two fresh directories and mostly leaves them empty. Taking one over by rename(2)
costs a tenth of removing it and making another (16 µs instead of 110 for each, on ext4).

Invariant: what is given out cannot be told from a directory that was just made, except by its
times: it is empty, private, and carries no extended attribute, so no access list either.
"""

import os
import stat
from contextlib import suppress
from itertools import count
from pathlib import Path
from shutil import rmtree

SPARES_MAX = 64
PRIVATE = 0o700


class Spares:
    """Keeps them in a directory of its own, on the file system of the runs."""

    def __init__(self, directory: Path) -> None:
        rmtree(directory, ignore_errors=True)  # nobody vouches for what a former life has left
        directory.mkdir(mode=PRIVATE)
        self._directory = str(directory)
        self._numbers = count()
        self._kept: list[str] = []

    def make(self, path: Path) -> None:
        """An empty directory at `path`, where nothing is yet."""
        if self._kept:
            with suppress(OSError):
                os.rename(self._kept.pop(), path)
                return
        os.mkdir(path, PRIVATE)

    def take_back(self, path: Path) -> bool:
        """Take the directory at `path` away, if it is as good as new."""
        if len(self._kept) >= SPARES_MAX or not _is_fresh(path):
            return False
        kept = f"{self._directory}/{next(self._numbers)}"
        try:
            os.rename(path, kept)
        except OSError:
            return False
        self._kept.append(kept)
        return True


def _is_fresh(path: Path) -> bool:
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISDIR(mode) or stat.S_IMODE(mode) != PRIVATE or os.listxattr(path):
            return False
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except OSError:
        return False
