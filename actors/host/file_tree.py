"""Open, walk and remove what a program left on disk, by descriptors.

The files are untrusted: any name may be a link, a FIFO, a device, a directory that is nested
without end or that may not be read, and any of it may change while it is read.

Invariants: one name at a time is resolved, relative to an open directory, so no link is followed. A
file is opened for reading or writing only after it was found to be a regular one. A walk and a
removal hold at most three descriptors at any depth, and do not recurse.
"""

import errno
import heapq
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from actors.host import process_tree
from actors.runner import StopFlag
from storage.database import DATABASE_NAME

PRIVATE = 0o700
SORTED_AT_ONCE = 4_000
"""So many names take about a millisecond."""
DEPTH_MAX = 100
PATH_BYTES_MAX = 1024

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


Identity = tuple[int, int]
"""Device and inode."""


class NotRegular(OSError):
    """Not a regular file, but a link, a FIFO, a directory or a device."""


def open_directory(name: str | os.PathLike[str], dir_fd: int | None = None) -> int:
    """Open a directory; the caller closes it. OSError: it is not a directory, or a link."""
    return os.open(name, os.O_RDONLY | _DIRECTORY, dir_fd=dir_fd)


def open_descriptor(
    name: str | os.PathLike[str],
    access: int = os.O_RDONLY,
    dir_fd: int | None = None,
    *,
    links_max: int | None = None,
    run: Path | None = None,
) -> int:
    """Open a regular file; the caller closes it.

    The file is examined before it is opened: opening a FIFO or a device has effects, and closing a
    file of SQLite's would release the locks that this process holds on it. `links_max` 1 rejects a
    file that has another name, which may be anywhere. `run` is the directory of the run that
    contains it: then a file of the server's database is rejected.

    Raises:
        NotRegular: it is something else, has too many names, or is rejected.
        OSError: it does not exist, or may not be opened.
    """
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode):
            raise NotRegular(errno.EINVAL, "not a regular file", os.fspath(name))
        if links_max is not None and seen.st_nlink > links_max:
            raise NotRegular(errno.EMLINK, "a file with another name", os.fspath(name))
        if run is not None and seen.st_nlink > 1 and _identity_of(seen) in database_files(run):
            raise NotRegular(errno.EPERM, "a file of the server's own", os.fspath(name))
        return os.open(f"/proc/self/fd/{handle}", access | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(handle)


def open_in(path: Path, access: int = os.O_RDONLY) -> int:
    """Open a file in the directory of a run; the caller closes it.

    A program may have replaced the file or its directory, or may have linked the name to another
    file. Therefore a file with several names is not opened for writing.

    Raises:
        OSError: as `open_descriptor`.
    """
    directory = open_directory(path.parent)
    try:
        is_read = access == os.O_RDONLY
        return open_descriptor(
            path.name, access, directory, links_max=None if is_read else 1, run=path.parent
        )
    finally:
        os.close(directory)


@contextmanager
def opened_directory(name: str | os.PathLike[str], dir_fd: int | None = None) -> Iterator[int]:
    """`open_directory`, closed at the end of the block."""
    descriptor = process_tree.with_reserved_descriptor(lambda: open_directory(name, dir_fd))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_below(directory: int, path: str, run: Path | None = None) -> int:
    """Open the regular file at `path` below an open directory, name by name.

    Raises:
        OSError: as `open_descriptor`; a name that is empty or leads upwards does not exist.
    """
    *parents, name = path.split("/")
    here = _descend(directory, parents)
    try:
        return open_descriptor(_plain(name), dir_fd=here, run=run)
    finally:
        os.close(here)


def make_accessible(name: str, dir_fd: int | None = None) -> None:
    """Permit the owner to read, search and change a directory; other files are unchanged."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode) and mode & PRIVATE != PRIVATE:
            # Through /proc, because fchmod(2) rejects a descriptor opened with O_PATH.
            os.chmod(f"/proc/self/fd/{handle}", PRIVATE)
    finally:
        os.close(handle)


def database_files(run: Path) -> frozenset[Identity]:
    """The files of the database: closing any descriptor of them releases SQLite's locks."""
    database = run.parent.parent / DATABASE_NAME
    found = set[Identity]()
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            seen = os.stat(f"{database}{suffix}")
            found.add((seen.st_dev, seen.st_ino))
    return frozenset(found)


# ---- walking -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: its path below the top, and its name in the open directory `dir_fd`."""

    path: str
    name: str
    dir_fd: int
    seen: os.stat_result

    @property
    def identity(self) -> Identity:
        """Device and inode, which are the same under any name."""
        return self.seen.st_dev, self.seen.st_ino

    @property
    def allocated_bytes(self) -> int:
        """Its size on disk; a sparse file uses less than its length."""
        return self.seen.st_blocks * 512


@dataclass(slots=True)
class _Level:
    """A directory on the path down from the top, and what remains to be done in it."""

    identity: Identity
    prefix: str
    directories: list[str]


@dataclass(slots=True, kw_only=True)
class Walk:
    """Every regular file below an open directory, sorted by name, within limits.

    What is not yielded is counted: `unseen` directories are too deep, `unread` names could not be
    read (`why` is the first reason), `is_cut` is true if there are more than `entries_max` names.
    What a limit excludes is passed to `aside`, with its name and the descriptor of its directory.
    """

    top: int
    stop: StopFlag
    entries_max: int
    depth_max: int = DEPTH_MAX
    aside: Callable[[str, int], object] | None = None
    is_cut: bool = False
    unseen: int = 0
    unread: int = 0
    why: str = ""
    _entries: int = 0
    _levels: list[_Level] = field(default_factory=list)

    def files(self) -> Iterator[FoundFile]:
        """Yield the files; the `dir_fd` of one is valid until the next is requested."""
        here = open_directory(".", self.top)
        try:
            yield from self._enter(here, "")
            while self._levels:
                level = self._levels[-1]
                if level.directories:
                    name = level.directories.pop()
                    try:
                        below = open_directory(name, here)
                    except OSError as error:
                        self._note(level.prefix + name, error)
                        continue
                    here = _replace(here, below)
                    yield from self._enter(here, f"{level.prefix}{name}/")
                else:
                    self._levels.pop()
                    if self._levels:
                        here = _replace(here, self._above(here))
        finally:
            os.close(here)

    def _enter(self, here: int, prefix: str) -> Iterator[FoundFile]:
        """Read an open directory: yield its files now, keep its directories for later."""
        level = _Level(_identity(here), prefix, [])
        self._levels.append(level)
        names: list[str] = []
        try:
            self._read(here, level, names)
        except OSError as error:
            self._note(prefix, error)
        level.directories[:] = reversed(list(in_order(level.directories)))
        for name in in_order(names):
            self.stop.check()
            try:
                seen = os.stat(name, dir_fd=here, follow_symlinks=False)
            except OSError as error:
                self._note(prefix + name, error)
                continue
            if stat.S_ISREG(seen.st_mode):
                yield FoundFile(prefix + name, name, here, seen)

    def _read(self, here: int, level: _Level, names: list[str]) -> None:
        too_deep = len(self._levels) > self.depth_max
        with os.scandir(here) as entries:
            for entry in entries:
                self.stop.check()
                if self._entries >= self.entries_max:
                    self.is_cut = True
                    if self.aside is None:
                        return
                    self.aside(entry.name, here)
                    continue
                self._entries += 1
                if not entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                elif too_deep or len(os.fsencode(level.prefix + entry.name)) > PATH_BYTES_MAX:
                    self.unseen += 1
                    if self.aside is not None:
                        self.aside(entry.name, here)
                else:
                    level.directories.append(entry.name)

    def _above(self, here: int) -> int:
        """The parent directory: by `..`, or from the top where `..` may not be opened."""
        level = self._levels[-1]
        try:
            above = open_directory("..", here)
        except OSError:
            above = _descend(self.top, level.prefix.split("/")[:-1])
        if _identity(above) != level.identity:
            os.close(above)
            raise OSError(errno.ESTALE, "a directory was moved while it was read")
        return above

    def _note(self, path: str, error: OSError) -> None:
        if error.errno in process_tree.SCARCE:
            raise error  # it does not describe the file
        self.unread += 1
        self.why = self.why or f"{shown(path)}: {error.strerror}"


def in_order(names: list[str]) -> Iterator[str]:
    """The names, sorted. Many are sorted in parts: a sort holds the interpreter's lock."""
    parts = range(0, len(names), SORTED_AT_ONCE)
    return heapq.merge(*(sorted(names[begin : begin + SORTED_AT_ONCE]) for begin in parts))


def shown(path: str) -> str:
    r"""A name as text that can be stored; bytes that are not UTF-8 are written as `\xff`."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _descend(directory: int, names: Sequence[str]) -> int:
    here = open_directory(".", directory)
    try:
        for name in names:
            here = _replace(here, open_directory(_plain(name), here))
    except BaseException:
        os.close(here)
        raise
    return here


def _plain(name: str) -> str:
    if name in ("", ".", "..") or "\0" in name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return name


def _identity(descriptor: int) -> Identity:
    return _identity_of(os.fstat(descriptor))


def _identity_of(seen: os.stat_result) -> Identity:
    return seen.st_dev, seen.st_ino


def _replace(old: int, new: int) -> int:
    os.close(old)
    return new
