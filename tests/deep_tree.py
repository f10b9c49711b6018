"""What a program may leave behind to spite its server, and how a test gets rid of it again."""

import os
from pathlib import Path

from actors.host.file_tree import open_directory
from actors.run.trash import Trash
from actors.runner import StopFlag

DEEP = 1_100
"""More than Python may call itself: neither os.walk nor shutil.rmtree gets to the end of it."""


def nest(path: Path, depth: int = DEEP) -> None:
    """`depth` directories in each other, and a file in the last."""
    here = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def remove_all(path: Path) -> None:
    """Empty a directory of whatever is in it: pytest itself would give up."""
    trash = Trash(path / "to-be-removed")
    directory = open_directory(path)
    try:
        for name in set(os.listdir(path)) - {"to-be-removed"}:
            trash.put(name, directory)
    finally:
        os.close(directory)
    trash.empty(StopFlag())
