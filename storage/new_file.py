"""Create a file atomically: it appears under its name complete, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def new_file(target: Path, *, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside `target`, which gets that name, and is on disk, when the block is left.

    If the block raises nothing is left behind. `mode` as for open(2), so without the umask's bits.

    Raises:
        FileExistsError: `target` is there; it stays as it is.
        OSError: nothing can be written there.
    """
    if os.path.lexists(target):
        raise FileExistsError(f"{target} is there")
    # Not made of the target's name, which may be as long as a name can be.
    beside = target.with_name(f".headway-{os.getpid()}.part")
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
    try:
        yield beside
        _sync(beside, os.O_RDONLY)
        _rename(beside, target)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)


def _rename(beside: Path, target: Path) -> None:
    """rename(2) would replace a file that has come in between; link(2) does not."""
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(f"{target} is there") from None
        beside.rename(target)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
