"""The descriptors of one run: those of its processes, and those that the server keeps.

The server keeps the read end of the output's pipe, the log and the exit file. Therefore nothing
that a program does to the names in its run's directory changes what the server reads and writes. A
shim holds the same three (see `shim.py`), where the next server finds them.
"""

import errno
import fcntl
import os
import stat
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.host.file_tree import opened_directory
from actors.host.launch import Launch
from actors.host.shim import EXIT_FILE_FD, LOG_FD, PIPE_FD, SEAL_FD

COPY_BYTES = 1024 * 1024
CHILD_FDS = 6
"""Descriptors of a child are below this number; the server's copies are not."""
_LOG = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EXIT = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class RunStreams:
    """`pipe`: None where the log file itself is the output. `exit_file`: None without a shim."""

    log: int | None = None
    pipe: int | None = None
    exit_file: int | None = None

    def close(self) -> None:
        """Close all of them."""
        for name in ("log", "pipe", "exit_file"):
            if (descriptor := getattr(self, name)) is not None:
                os.close(descriptor)
                setattr(self, name, None)


@dataclass(slots=True)
class ChildStreams:
    """What a process starts with; `close` after the start, or after its failure."""

    kept: RunStreams = field(default_factory=RunStreams)
    actions: list[tuple[Any, ...]] = field(default_factory=list)
    """For posix_spawn(3), in this order."""
    _given: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Close the server's copies of what only the child needs."""
        for descriptor in self._given:
            os.close(descriptor)
        self._given.clear()

    def give(self, descriptor: int, number: int) -> None:
        """Give the child a descriptor under this number."""
        self.actions.append((os.POSIX_SPAWN_DUP2, descriptor, number))

    def take(self, descriptor: int) -> int:
        """Own a descriptor until `close`, under a number that no child uses."""
        self._given.append(_above(descriptor))
        return self._given[-1]


def leads_to(path: Path, descriptor: int) -> bool:
    """Whether the path still names the open file."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def save(descriptor: int, path: Path) -> None:
    """Write an open file again in the directory of its run, with its holes.

    What has its name now is removed, or renamed if it is a directory; so is what is in place of the
    run's directory. No link is followed: it may lead to another run.

    Raises:
        OSError: it cannot be written.
    """
    run = path.parent
    run.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with opened_directory(run.parent) as runs:
        if not _is_directory(run.name, runs):
            with suppress(FileNotFoundError):
                os.unlink(run.name, dir_fd=runs)
            os.mkdir(run.name, 0o700, dir_fd=runs)
        with opened_directory(run.name, runs) as directory:
            _clear_name(path.name, directory)
            copy = os.open(path.name, _LOG, 0o600, dir_fd=directory)
    try:
        size = os.fstat(descriptor).st_size
        copy_data(descriptor, copy, 0, size)
        os.ftruncate(copy, size)
    finally:
        os.close(copy)


def _is_directory(name: str, dir_fd: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _clear_name(name: str, dir_fd: int) -> None:
    if _is_directory(name, dir_fd):
        aside = f"{name}.moved-{time.monotonic_ns()}"
        os.rename(name, aside, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    else:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=dir_fd)


def copy_data(source: int, target: int, begin: int, end: int) -> None:
    """What one file holds from `begin` to `end`, to the same place of another; holes stay holes.

    Raises:
        OSError: it cannot be read or written.
    """
    while (begin := _next_data(source, begin)) < end:
        hole = min(end, os.lseek(source, begin, os.SEEK_HOLE))
        while begin < hole:
            piece = os.pread(source, min(COPY_BYTES, hole - begin), begin)
            if not piece:
                return  # it became shorter
            begin += os.pwrite(target, piece, begin)


def _next_data(descriptor: int, offset: int) -> int:
    """Where data begins from `offset` on (lseek(2), SEEK_DATA); behind all of it, beyond reach."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return sys.maxsize


def open_streams(launch: Launch) -> ChildStreams:
    """Make the log, the pipe and the exit file of a run that has none yet.

    Raises:
        OSError: one of them cannot be made; nothing stays open.
    """
    child = ChildStreams()
    try:
        _open_stdin(child, launch.stdin)
        _open_output(child, launch)
        if launch.shim:
            _open_records(child, launch)
        else:
            child.give(1, 2)
    except OSError:
        child.close()
        child.kept.close()
        raise
    return child


def _open_stdin(child: ChildStreams, data: bytes | None) -> None:
    if data is None:
        child.actions.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
        return
    # In memory, so that secret parameters are in no file on disk.
    stdin = child.take(os.memfd_create("stdin", os.MFD_CLOEXEC))
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(stdin, rest) :]
    os.lseek(stdin, 0, os.SEEK_SET)
    child.give(stdin, 0)


def _open_output(child: ChildStreams, launch: Launch) -> None:
    if launch.output == "file":
        child.give(child.take(os.open(launch.log, _LOG | os.O_APPEND, 0o600)), 1)
        return
    # Not O_APPEND: splice(2) rejects such a file.
    child.kept.log = _above(os.open(launch.log, _LOG, 0o600))
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    child.kept.pipe = _above(read_end)
    child.give(child.take(write_end), 1)
    os.set_blocking(child.kept.pipe, False)


def _open_records(child: ChildStreams, launch: Launch) -> None:
    child.kept.exit_file = _above(os.open(launch.exit_file, _EXIT, 0o600))
    # Allocates its first block, so that a full disk fails here and not at the end of the run.
    os.write(child.kept.exit_file, b"\n")
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    seal = child.take(read_end)
    try:
        os.write(write_end, launch.seal.encode() + b"\n")
    finally:
        os.close(write_end)
    child.give(child.kept.exit_file, EXIT_FILE_FD)
    if child.kept.pipe is not None and child.kept.log is not None:
        child.give(child.kept.pipe, PIPE_FD)
        child.give(child.kept.log, LOG_FD)
    child.give(seal, SEAL_FD)


def streams_of_shim(pid: int) -> RunStreams:
    """Open the descriptors of a living shim again (proc_pid_fd(5)).

    Raises:
        OSError: no descriptor is free.
    """
    kept = RunStreams()
    try:
        with suppress(FileNotFoundError):
            kept.exit_file = _reopen(pid, EXIT_FILE_FD, os.O_RDONLY, stat.S_ISREG)
        with suppress(FileNotFoundError):
            kept.pipe = _reopen(pid, PIPE_FD, os.O_RDONLY, stat.S_ISFIFO)
            kept.log = _reopen(pid, LOG_FD, os.O_RDWR, stat.S_ISREG)
    except OSError:
        kept.close()
        raise
    if kept.log is None and kept.pipe is not None:
        os.close(kept.pipe)
        kept.pipe = None
    return kept


def _reopen(pid: int, number: int, access: int, is_right: Any) -> int:
    descriptor = os.open(f"/proc/{pid}/fd/{number}", access | os.O_NONBLOCK | os.O_CLOEXEC)
    if not is_right(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(f"descriptor {number} of {pid} is something else")
    return descriptor


def _above(descriptor: int) -> int:
    """The same file under a number that no child uses."""
    if descriptor >= CHILD_FDS:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, CHILD_FDS)
    finally:
        os.close(descriptor)
