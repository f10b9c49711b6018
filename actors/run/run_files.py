"""The directory of one run: what the program receives there, and what it leaves.

    runs/RUN_ID/work/       its working directory
               /artifacts/  what it leaves here becomes artifacts
               /log         its output, one plain file, byte for byte
               /times       the sizes of the log over time (`log_times.py`)
               /exit        the shim's record of start and end
               /report      JSON lines: progress and result; the program makes it
               /signalled   exists if headway has sent its program a signal

Invariant: the directory is made before the process. If a server finds it, the run may have been
started; `run_start.py` decides that.
"""

import ctypes
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from pathlib import Path

from actors.host import process_tree
from actors.host.file_tree import (
    PRIVATE,
    make_accessible,
    open_directory,
    open_in,
    opened_directory,
)
from actors.host.run_streams import copy_data
from actors.host.shim import ExitRecord, read_exit_file
from actors.run.directory_pool import DirectoryPool
from actors.run.report import Report
from actors.run.trash import Trash
from config.run_limits import REPORT_LIMIT_BYTES

BLOCK_BYTES = 4096
FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What a run has left that must be read, or removed, off the event loop.

    `work`: the name of its working directory in the trash. `faults`: what went wrong so far.
    """

    has_report: bool = False
    has_artifacts: bool = False
    log_bytes: int = 0
    work: str | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunFiles:
    """The files of one run.

    `directory_pool`: where empty directories come from and return to. `trash`: what is to be
    removed goes there.
    """

    root: Path
    directory_pool: DirectoryPool | None = None
    trash: Trash | None = None
    report_limit_bytes: int = REPORT_LIMIT_BYTES

    @cached_property
    def report_state(self) -> Report:
        """The program's report so far."""
        return Report(self.report, self.report_limit_bytes)

    @cached_property
    def work(self) -> Path:
        return self.root / "work"

    @cached_property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @cached_property
    def log(self) -> Path:
        return self.root / "log"

    @cached_property
    def times(self) -> Path:
        return self.root / "times"

    @cached_property
    def exit(self) -> Path:
        return self.root / "exit"

    @cached_property
    def report(self) -> Path:
        return self.root / "report"

    def begin(self) -> None:
        """Make the directory of a run that was never started, and its content.

        Raises OSError: it cannot be made. Some of it may exist; see `discard`.
        """
        try:
            is_new = self.create()
        except FileNotFoundError:  # runs/ was removed
            os.mkdir(self.root.parent, PRIVATE)
            is_new = self.create()
        if not is_new:
            self.begin_anew()

    def discard(self) -> None:
        """Remove what `begin` has made, and nothing else: the run is still not started."""
        for path in (self.exit, self.log):
            with suppress(OSError):
                os.unlink(path)
        for directory in (self.work, self.artifacts, self.root):
            with suppress(OSError):
                os.rmdir(directory)

    def create(self) -> bool:
        """Make the directory. False if it exists."""
        try:
            os.mkdir(self.root, PRIVATE)
        except FileExistsError:
            return False
        for directory in (self.work, self.artifacts):
            if self.directory_pool is None:
                os.mkdir(directory, PRIVATE)
            else:
                self.directory_pool.make(directory)
        return True

    def fill(self) -> None:
        """Make its directories; also after a crash between the two."""
        for directory in (self.work, self.artifacts):
            with suppress(FileExistsError):
                os.mkdir(directory, PRIVATE)

    def begin_anew(self) -> None:
        """Prepare the first start of a run that an earlier server only intended."""
        # An incomplete line would join the next one.
        for path in (self.exit, self.log):
            self._clear(path)
        # The run has not started, but other programs of this user may have written here.
        for path in (self.work, self.artifacts):
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                self._clear(path)
        self.fill()

    def _clear(self, path: Path) -> None:
        """Remove what has this name."""
        try:
            path.unlink(missing_ok=True)
        except OSError:
            if self.trash is None:
                raise
            with opened_directory(self.root) as root:
                self.trash.put(path.name, root)

    def exit_record(self, digests: Collection[str] = ()) -> ExitRecord:
        """The shim's record. OSError: no descriptor is free to read it.

        `digests`: see `parse_exit_file`.
        """
        try:
            return process_tree.with_reserved_descriptor(lambda: self._read_exit(digests))
        except OSError as error:
            if error.errno in process_tree.SCARCE:
                raise
            return ExitRecord()

    def _read_exit(self, digests: Collection[str]) -> ExitRecord:
        descriptor = open_in(self.exit)
        try:
            return read_exit_file(descriptor, digests)
        finally:
            os.close(descriptor)

    def exit_written_at(self) -> int:
        """When the exit file was last written, in µs since 1970. OSError: it does not exist."""
        return os.lstat(self.exit).st_mtime_ns // 1000

    def last_log_line(self) -> str:
        """The last line of the output, where the shell reports why it could not start a program."""
        with suppress(OSError), open_regular(self.log) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 500))
            if lines := file.read().decode(errors="replace").splitlines():
                return lines[-1]
        return ""

    def log_bytes(self) -> int:
        """The size of the output so far."""
        with suppress(OSError):
            return os.lstat(self.log).st_size
        return 0

    def log_is_cut(self) -> bool:
        """Whether the middle of the output was dropped; a shorter log cannot have a hole."""
        with suppress(OSError):
            return self.log_bytes() > 2 * BLOCK_BYTES and log_hole(self.log) is not None
        return False

    def note_signal(self) -> None:
        """Record, for a later server too, that the program is sent a signal now."""
        with suppress(OSError), opened_directory(self.root) as root:
            os.close(os.open("signalled", _NEW, 0o600, dir_fd=root))

    def was_signalled(self) -> bool:
        """Whether a server has sent the program a signal, or was about to."""
        with suppress(OSError), opened_directory(self.root) as root:
            return _is_there("signalled", root)
        return False

    def read_report(self, *, ended: bool = False) -> bool:
        """See `Report.read`."""
        return self.report_state.read(ended=ended)

    def drop_middle(self, limit_bytes: int, *, has_ended: bool = False) -> None:
        """Keep the first and the last half of `limit_bytes`; what lies between leaves the disk.

        The file keeps its length (fallocate(2), FALLOC_FL_PUNCH_HOLE), so the program goes on
        writing at its end and offsets stay true. A log to which some program has given another
        name stays whole under that name: it is replaced by a copy without its middle, and only
        when the run has ended, since until then it is written to.

        Raises:
            OSError: the file system has no holes, or the log is not there.
        """
        if os.lstat(self.log).st_nlink > 1:
            if has_ended:
                with suppress(OSError):  # no space for a copy: it stays whole
                    self._replace_log(limit_bytes)
            return
        with open_regular(self.log, os.O_RDWR) as file:
            begin, end = _middle(os.fstat(file.fileno()).st_size, limit_bytes)
            if end <= begin:
                return
            mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
            if _libc.fallocate(file.fileno(), mode, begin, end - begin) < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(self.log))

    def _replace_log(self, limit_bytes: int) -> None:
        with opened_directory(self.root) as root, open_regular(self.log) as file:
            size = os.fstat(file.fileno()).st_size
            begin, end = _middle(size, limit_bytes)
            with suppress(FileNotFoundError):
                os.unlink("log.new", dir_fd=root)
            with open(os.open("log.new", _NEW, 0o600, dir_fd=root), "wb") as copy:
                copy_data(file.fileno(), copy.fileno(), 0, min(begin, size))
                copy_data(file.fileno(), copy.fileno(), max(begin, end), size)
                os.ftruncate(copy.fileno(), size)
            os.rename("log.new", self.log.name, src_dir_fd=root, dst_dir_fd=root)

    def open_root(self) -> int:
        """Open the directory, with all permissions for the owner; the caller closes it.

        Raises:
            OSError: it does not exist, or is something else.
        """
        path = str(self.root)
        try:
            descriptor = process_tree.with_reserved_descriptor(lambda: open_directory(path))
        except PermissionError:
            make_accessible(path)
            descriptor = open_directory(path)
        if os.fstat(descriptor).st_mode & PRIVATE != PRIVATE:
            with suppress(OSError):
                os.fchmod(descriptor, PRIVATE)
        return descriptor

    def part(self) -> Remains:
        """Put the directories of an ended run aside, and return what remains to be done.

        Uses the same few system calls whatever there is.

        Raises:
            OSError: its directory does not exist, or cannot be opened.
        """
        root = self.open_root()
        try:
            work, faults = None, []
            has_artifacts = not self._take_back("artifacts", root)
            if not self._take_back("work", root) and self.trash is not None:
                try:
                    work = self.trash.put("work", root)
                except OSError as error:
                    if error.errno in process_tree.SCARCE:
                        raise
                    faults.append(f"its working directory cannot be removed: {error.strerror}")
            return Remains(
                has_report=_is_there("report", root),
                has_artifacts=has_artifacts and _is_there("artifacts", root),
                log_bytes=self.log_bytes(),
                work=work,
                faults=tuple(faults),
            )
        finally:
            os.close(root)

    def _take_back(self, name: str, root: int) -> bool:
        return self.directory_pool is not None and self.directory_pool.take_back(name, root)


def _is_there(name: str, dir_fd: int) -> bool:
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _middle(size: int, limit_bytes: int) -> tuple[int, int]:
    """(begin, end) of what a log of `size` bytes is to lose, in whole blocks."""
    begin = -(-(limit_bytes // 2) // BLOCK_BYTES) * BLOCK_BYTES
    return begin, (size - limit_bytes // 2) // BLOCK_BYTES * BLOCK_BYTES


def open_regular(path: Path, access: int = os.O_RDONLY) -> BufferedReader:
    """Open a file of headway's own that a program may have replaced.

    Raises:
        OSError: it does not exist, or is a link, or not a regular file (a FIFO would block).
    """
    return open(open_in(path, access), "rb")


def log_hole(path: Path) -> tuple[int, int] | None:
    """(begin, end) of the dropped middle of a log, or None."""
    with open_regular(path) as file:
        return hole_of(file.fileno())


def hole_of(descriptor: int) -> tuple[int, int] | None:
    """`log_hole` of an open log (lseek(2), SEEK_HOLE)."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return None
    begin = os.lseek(descriptor, 0, os.SEEK_HOLE)
    if begin >= size:
        return None
    try:
        return begin, os.lseek(descriptor, begin, os.SEEK_DATA)
    except OSError:  # ENXIO: no data after it
        return begin, size
