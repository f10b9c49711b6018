"""The directory of one run: what the program is given there, and what it leaves.

    runs/RUN_ID/work/       its working directory
               /artifacts/  what it leaves here becomes artifacts
               /log         its output, one plain file, byte for byte
               /times       when the log was how long (`log_times.py`)
               /exit        what the shim says of start and end
               /report      JSON lines: progress and result; the program makes it

Invariant: the directory is made before the process, and by nobody twice: who finds it there knows
that the run may have been started before.
"""

import ctypes
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any

import structlog
from pydantic_core import from_json, to_json

from actors import tree
from actors.shim import ExitRecord, read_exit_file
from actors.spare import PRIVATE, Spares
from storage.job import Artifact, Progress

REPORT_LINE_BYTES_MAX = 1024 * 1024
REPORT_READ_BYTES = 4 * 1024 * 1024
MESSAGE_CHARACTERS_MAX = 1_000
ARTIFACTS_MAX = 10_000
BLOCK_BYTES = 4096
FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2

log = structlog.get_logger()
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


@dataclass(slots=True)
class Report:
    """What the program has reported so far. `result` is JSON text."""

    progress: Progress | None = None
    result: str | None = None
    offset: int = 0


@dataclass(frozen=True)
class RunFiles:
    """The files of one run. `spares` gives directories to begin with, and takes them back."""

    root: Path
    report_state: Report = field(default_factory=Report)
    spares: Spares | None = None

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

    def create(self) -> bool:
        """Make the directory. False if it is there: the run may have been started before."""
        try:
            os.mkdir(self.root, PRIVATE)
        except FileExistsError:
            return False
        for directory in (self.work, self.artifacts):
            if self.spares is None:
                os.mkdir(directory, PRIVATE)
            else:
                self.spares.make(directory)
        return True

    def fill(self) -> None:
        """Make what is in it; also where a crash came between the two."""
        for directory in (self.work, self.artifacts):
            with suppress(FileExistsError):
                os.mkdir(directory, PRIVATE)

    def begin_anew(self) -> None:
        """Ready for a first start that an earlier server only intended."""
        # A line that was torn off would swallow the next.
        for path in (self.exit, self.log):
            path.unlink(missing_ok=True)
        self.fill()

    def exit_record(self, digests: Collection[str] = ()) -> ExitRecord:
        """What the shim has written. OSError: there is no descriptor left to read it with.

        `digests`: see `parse_exit_file`.
        """
        try:
            return tree.with_spare(lambda: self._read_exit(digests))
        except OSError as error:
            if error.errno in tree.SCARCE:
                raise
            return ExitRecord()

    def _read_exit(self, digests: Collection[str]) -> ExitRecord:
        descriptor = open_descriptor(self.exit)
        try:
            return read_exit_file(descriptor, digests)
        finally:
            os.close(descriptor)

    def exit_written_at(self) -> int:
        """When the exit file was last written, in µs since 1970. OSError: it is not there."""
        return os.lstat(self.exit).st_mtime_ns // 1000

    def last_log_line(self) -> str:
        """The end of the output, where the shim's shell says why it could not start a program."""
        with suppress(OSError), open_regular(self.log) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 500))
            if lines := file.read().decode(errors="replace").splitlines():
                return lines[-1]
        return ""

    def log_bytes(self) -> int:
        """How much the program has written so far."""
        with suppress(OSError):
            return os.lstat(self.log).st_size
        return 0

    def log_is_cut(self) -> bool:
        """Whether the middle of the output was dropped; a shorter log cannot have a hole."""
        with suppress(OSError):
            return self.log_bytes() > 2 * BLOCK_BYTES and log_hole(self.log) is not None
        return False

    def read_report(self, *, ended: bool = False) -> bool:
        """Take in the lines that were added; whether they changed the progress.

        When the program has `ended`, a last line counts without its newline, too.
        """
        before = self.report_state.progress
        with suppress(OSError), open_regular(self.report) as file:
            file.seek(self.report_state.offset)
            while self._take_lines(file.read(REPORT_READ_BYTES)):
                file.seek(self.report_state.offset)
            if ended:
                file.seek(self.report_state.offset)
                self._take_lines(file.read(REPORT_READ_BYTES) + b"\n")
        return self.report_state.progress != before

    def _take_lines(self, data: bytes) -> bool:
        """Take in whole lines; whether there may be more of them."""
        complete = data.rfind(b"\n") + 1
        if complete == 0 and len(data) > REPORT_LINE_BYTES_MAX:
            log.warning("report line too long", run_id=self.root.name)
            complete = len(data)
        self.report_state.offset += complete
        for line in data[:complete].split(b"\n"):
            if line.strip():
                self._take(line)
        return complete > 0 and len(data) == REPORT_READ_BYTES

    def _take(self, line: bytes) -> None:
        try:
            if len(line) > REPORT_LINE_BYTES_MAX:
                raise ValueError(f"longer than {REPORT_LINE_BYTES_MAX} bytes")
            entry = from_json(line, allow_inf_nan=False)
            if not isinstance(entry, dict):
                raise ValueError("not a JSON object")
            if "progress" in entry or "message" in entry:
                self.report_state.progress = _progress(entry)
            if "result" in entry:
                self.report_state.result = to_json(entry["result"]).decode()
        except (ValueError, OverflowError, RecursionError) as error:
            log.warning("report line ignored", run_id=self.root.name, why=str(error))

    def list_artifacts(self) -> tuple[Artifact, ...]:
        """Every regular file below artifacts/, by name, with its SHA-256; no links."""
        found: list[Artifact] = []
        for path in _files_below(self.artifacts):
            if len(found) == ARTIFACTS_MAX:
                log.warning("artifacts cut", run_id=self.root.name, kept=ARTIFACTS_MAX)
                break
            name = self._artifact_name(path)
            try:
                with open_regular(path) as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    size = os.fstat(file.fileno()).st_size
            except OSError as error:
                log.warning("artifact left out", run_id=self.root.name, name=name, why=str(error))
            else:
                found.append(Artifact(name=name, size_bytes=size, sha256=digest))
        return tuple(sorted(found, key=lambda artifact: artifact.name))

    def find_artifact(self, name: str) -> Path | None:
        """The file that `list_artifacts` calls so; only one that lies where it seems to lie."""
        seeming = f"{os.path.realpath(self.root)}/artifacts/{name}"
        if os.path.isfile(seeming) and os.path.realpath(seeming) == seeming:
            return Path(seeming)
        return next(
            (p for p in _files_below(self.artifacts) if self._artifact_name(p) == name), None
        )

    def has_artifacts(self) -> bool:
        """Whether there is anything to list."""
        with suppress(OSError), os.scandir(self.artifacts) as entries:
            return any(True for _ in entries)
        return False

    def _artifact_name(self, path: Path) -> str:
        """Its path below artifacts/; bytes that are not UTF-8 are shown as in `\\xff`."""
        name = os.fsencode(path.relative_to(self.artifacts))
        return name.decode(errors="backslashreplace")

    def drop_middle(self, limit_bytes: int) -> None:
        """Keep the first and the last half of `limit_bytes`; what lies between leaves the disk.

        The file keeps its length (fallocate(2), FALLOC_FL_PUNCH_HOLE), so the program goes on
        writing at its end and offsets stay true.
        """
        with open_regular(self.log, os.O_RDWR) as file:
            size = os.fstat(file.fileno()).st_size
            begin = -(-(limit_bytes // 2) // BLOCK_BYTES) * BLOCK_BYTES
            end = (size - limit_bytes // 2) // BLOCK_BYTES * BLOCK_BYTES
            if end <= begin:
                return
            mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
            if _libc.fallocate(file.fileno(), mode, begin, end - begin) < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(self.log))

    def remove_work(self) -> None:
        """The working directory ends with its run; the log stays, and artifacts if there are."""
        if self.spares is not None:
            self.spares.take_back(self.artifacts)
            if self.spares.take_back(self.work):
                return
        try:
            os.rmdir(self.work)
        except OSError:
            shutil.rmtree(self.work, ignore_errors=True)


def open_regular(path: Path, access: int = os.O_RDONLY) -> BufferedReader:
    """Open a file that a program may have swapped for something else.

    Raises:
        OSError: it is not there, or a link, or no regular file (a FIFO would block us).
    """
    return open(open_descriptor(path, access), "rb")


def open_descriptor(path: Path, access: int = os.O_RDONLY) -> int:
    """The same as a plain descriptor, for the caller to close."""
    descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def log_hole(path: Path) -> tuple[int, int] | None:
    """(begin, end) of the dropped middle of a log, or None (lseek(2), SEEK_HOLE)."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return None
        begin = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
        if begin >= size:
            return None
        try:
            return begin, os.lseek(file.fileno(), begin, os.SEEK_DATA)
        except OSError:  # ENXIO: no data after it
            return begin, size


def _files_below(directory: Path) -> Iterator[Path]:
    if directory.is_symlink():
        return
    for root, _directories, names in os.walk(directory):
        for name in names:
            path = Path(root, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def _progress(entry: dict[str, Any]) -> Progress:
    fraction = entry.get("progress")
    message = entry.get("message")
    if fraction is not None:
        if isinstance(fraction, bool) or not isinstance(fraction, int | float):
            raise ValueError("progress must be a number from 0 to 1")
        fraction = min(1.0, max(0.0, float(fraction)))
    return Progress(
        fraction=fraction,
        message=None if message is None else _text(message),
    )


def _text(message: object) -> str:
    """Something that can be stored and shown, whatever the program wrote."""
    text = message if isinstance(message, str) else to_json(message).decode()
    return text[:MESSAGE_CHARACTERS_MAX].encode(errors="replace").decode()
