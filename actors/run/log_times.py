"""When a log was written: its size at sampled moments, in a small file beside it.

A record holds a moment (µs) and the size of the log then. So the bytes between two sizes were
written after the first moment and not later than the second: 0.1 s apart while a server watches the
run. The file is bounded: when it is full every second record is removed, and from then on records
are a 2,000th of the run's duration apart. Bytes that were written while there was no server have
the moment at which the next one saw them.
"""

import os
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from actors.host.file_tree import open_in, opened_directory
from actors.run.run_files import open_regular
from headway.model.field import MAX_INT, TIME_MAX_US

RECORDS_MAX = 4096
"""64 KiB."""

_RECORD = struct.Struct("<QQ")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

log = structlog.get_logger()


class LogSize(NamedTuple):
    """At `at` (µs) the log held `size` bytes."""

    size: int
    at: int


class LogTimes:
    """Writes the records of one run; continues where an earlier server stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = read_times(path)
        self._failed = False
        with suppress(OSError):
            self._cut()

    def note(self, size: int, at: int) -> None:
        """Add a record, if the log has grown and the last record is old enough.

        A full disk costs records, not the run.
        """
        records = self._records
        if records and size < records[-1].size:
            self._begin_again()
        if size <= (records[-1].size if records else 0) or not self._is_due(at):
            return
        records.append(LogSize(size, max(at, records[-1].at) if records else at))
        try:
            if len(records) > RECORDS_MAX:
                records[:] = records[1::2]
                self._write_anew()
            else:
                self._append(records[-1])
        except OSError as error:
            if not self._failed:
                log.warning("log times not kept", run_id=self._path.parent.name, why=str(error))
            self._failed = True

    def _begin_again(self) -> None:
        """Start again after the program has truncated its log: earlier records are wrong now."""
        self._records.clear()
        with suppress(OSError):
            self._write_anew()

    def finish(self, size: int, at: int) -> None:
        """Record the last size, however soon it comes after the one before."""
        if self._records and size > self._records[-1].size:
            self._records.append(LogSize(size, max(at, self._records[-1].at)))
            with suppress(OSError):
                self._write_anew()

    def _is_due(self, at: int) -> bool:
        records = self._records
        if len(records) < RECORDS_MAX // 2:
            return True
        return at - records[-1].at >= (records[-1].at - records[0].at) // len(records)

    def _cut(self) -> None:
        """Remove an incomplete record, which would shift those that follow."""
        descriptor = open_in(self._path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, len(self._records) * _RECORD.size)
        finally:
            os.close(descriptor)

    def _append(self, record: LogSize) -> None:
        try:
            descriptor = open_in(self._path, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            with opened_directory(self._path.parent) as directory:
                descriptor = os.open(self._path.name, _NEW, 0o600, dir_fd=directory)
        try:
            os.write(descriptor, _RECORD.pack(*record))
        finally:
            os.close(descriptor)

    def _write_anew(self) -> None:
        name = self._path.name
        fresh = f"{name}.new"
        with opened_directory(self._path.parent) as directory:
            with suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=directory)
            # A new file, so it is not a link, nor a FIFO in which a write would wait.
            with open(os.open(fresh, _NEW, 0o600, dir_fd=directory), "wb") as file:
                file.write(b"".join(_RECORD.pack(*record) for record in self._records))
            os.replace(fresh, name, src_dir_fd=directory, dst_dir_fd=directory)


def read_times(path: Path, after: int = 0) -> list[LogSize]:
    """The records in order, from number `after`; an incomplete one is skipped.

    The program can write to the file: an impossible record ends the list.
    """
    with suppress(OSError), open_regular(path) as file:
        file.seek(after * _RECORD.size)
        data = file.read((RECORDS_MAX + 1) * _RECORD.size)
        whole = len(data) // _RECORD.size * _RECORD.size
        return list(_credible(LogSize(*record) for record in _RECORD.iter_unpack(data[:whole])))
    return []


def _credible(records: Iterable[LogSize]) -> Iterator[LogSize]:
    """The records before the first that is smaller than its predecessor, or out of range."""
    last = LogSize(0, 0)
    for record in records:
        if not (last.size <= record.size <= MAX_INT and last.at <= record.at <= TIME_MAX_US):
            return
        yield record
        last = record


def time_of(records: Sequence[LogSize], offset: int) -> int | None:
    """The moment (µs) by which the byte at `offset` was written; None: after the last record."""
    index = bisect_right(records, offset, key=lambda record: record.size)
    return records[index].at if index < len(records) else None
