"""Files of runs that are to be removed: put aside at once, removed off the event loop.

A directory is put aside by rename(2), which costs the same for an empty one and for a million
files. What an earlier server did not remove, the next one does.

Removal is iterative, and holds three descriptors at any depth: a subdirectory is not entered, but
put aside too.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

from actors.host import process_tree
from actors.host.file_tree import PRIVATE, make_accessible, open_directory, shown
from actors.runner import StopFlag

T = TypeVar("T")

TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)
NAMES_AT_ONCE = 1_000
NAMES_MAX = STUCK_MAX = 10_000


@dataclass(slots=True)
class Removal:
    """What is to be removed, by `names` in the trash, and what was not.

    `left`: how many names stay, `why`: the first reason, `stuck`: those in the trash itself.
    `more`: something was not tried yet.
    """

    stop: StopFlag
    names: list[str] = field(default_factory=list)
    left: int = 0
    why: str = ""
    more: bool = False
    stuck: set[str] = field(default_factory=set)

    def note(self, name: str, error: OSError) -> None:
        """Count a name that stays. Raises `error` if it does not describe the file."""
        if error.errno in process_tree.SCARCE:
            raise error
        self.left += 1
        self.why = self.why or f"{shown(name)}: {error.strerror}"


class Trash:
    """A directory on the file system of the runs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._next = 0

    def put(self, name: str, dir_fd: int) -> str | None:
        """Move `name`, of any kind, out of an open directory; returns its name in the trash.

        None: it does not exist. Raises OSError: it cannot be moved.
        """
        trash = self._open()
        try:
            return self._put(name, dir_fd, trash)
        finally:
            os.close(trash)

    def remove(self, name: str, stop: StopFlag) -> Removal:
        """Remove what `put` has named so. What cannot be removed stays, and is counted.

        Raises:
            Stopped: the caller was cancelled; the rest stays.
            OSError: no descriptor is free.
        """
        removal = Removal(stop, [name])
        trash = self._open()
        try:
            self._work_off(trash, removal)
        finally:
            os.close(trash)
        return removal

    def empty(self, stop: StopFlag) -> Removal:
        """Remove everything, also what an earlier server has left. As `remove`."""
        removal = Removal(stop)
        trash = self._open()
        try:
            while len(removal.stuck) < STUCK_MAX:
                with os.scandir(trash) as entries:
                    rest = (entry.name for entry in entries if entry.name not in removal.stuck)
                    removal.names = list(islice(rest, NAMES_AT_ONCE))
                if not removal.names:
                    break
                self._work_off(trash, removal)
        finally:
            os.close(trash)
        return removal

    def _work_off(self, trash: int, removal: Removal) -> None:
        while removal.names:
            name = removal.names.pop()
            removal.stop.check()
            try:
                if _is_directory(name, trash):
                    self._dismantle(name, trash, removal)
                else:
                    os.unlink(name, dir_fd=trash)
            except FileNotFoundError:
                continue  # removed by another call
            except OSError as error:
                removal.note(name, error)
                removal.stuck.add(name)

    def _dismantle(self, name: str, trash: int, removal: Removal) -> None:
        """Remove the files in a directory, put its subdirectories aside, and remove it."""
        make_accessible(name, trash)
        here = open_directory(name, trash)
        try:
            # A file system may not list all of a directory that changes: look again.
            while self._clear(here, trash, removal):
                with suppress(OSError):
                    os.rmdir(name, dir_fd=trash)
                    return
        finally:
            os.close(here)
        os.rmdir(name, dir_fd=trash)

    def _clear(self, here: int, trash: int, removal: Removal) -> bool:
        """Empty an open directory; whether it had content, and none of it stays."""
        found, left = False, removal.left
        with os.scandir(here) as entries:
            for entry in entries:
                found = True
                removal.stop.check()
                try:
                    if not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.name, dir_fd=here)
                    elif (aside := self._put(entry.name, here, trash)) is not None:
                        if len(removal.names) < NAMES_MAX:
                            removal.names.append(aside)
                        else:
                            removal.more = True
                except FileNotFoundError:
                    continue  # removed by another call
                except OSError as error:
                    removal.note(entry.name, error)
        return found and removal.left == left

    def _put(self, name: str, source: int, trash: int) -> str | None:
        step = 1
        while True:
            aside = str(self._next)
            self._next += step
            try:
                self._move(name, source, aside, trash)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
                step *= 2  # skip names that an earlier server has left
            else:
                return aside

    def _move(self, name: str, source: int, aside: str, trash: int) -> None:
        _with_access(
            name, source, lambda: os.rename(name, aside, src_dir_fd=source, dst_dir_fd=trash)
        )

    def _open(self) -> int:
        """A descriptor of the directory; it is made first, also if something else has its name."""
        with suppress(FileExistsError):
            os.mkdir(self._directory, PRIVATE)
        path = str(self._directory)
        try:
            return process_tree.with_reserved_descriptor(
                lambda: _with_access(path, None, lambda: open_directory(path))
            )
        except NotADirectoryError:  # also a link
            os.unlink(path)
            os.mkdir(path, PRIVATE)
            return open_directory(path)


def _with_access(name: str, dir_fd: int | None, act: Callable[[], T]) -> T:
    """Run `act`; if that is not permitted, again with access for the directory's owner.

    Moving a directory needs write permission on it too, because its `..` changes.
    """
    try:
        return act()
    except PermissionError:
        make_accessible(name, dir_fd)
        return act()


def _is_directory(name: str, dir_fd: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode)
