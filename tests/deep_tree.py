"""Deeply nested directories, and their removal."""

import os
from pathlib import Path

from actors.host.file_tree import open_directory
from actors.run.trash import Trash
from actors.runner import StopFlag

DEEP = 1_100
"""Deeper than Python's recursion limit: os.walk and shutil.rmtree fail on it."""


def nest(path: Path, depth: int = DEEP) -> None:
    """Make `depth` nested directories, and a file in the last."""
    here = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def remove_all(path: Path) -> None:
    """Empty a directory, which pytest itself cannot remove."""
    trash = Trash(path / "to-be-removed")
    directory = open_directory(path)
    try:
        for name in set(os.listdir(path)) - {"to-be-removed"}:
            trash.put(name, directory)
    finally:
        os.close(directory)
    trash.empty(StopFlag())
