"""Damage in the database file: what is checked before anything is written, and what afterwards.

SQLite checks the structure of each page that it reads (`cell_size_check` in `storage/database.py`),
so a damaged page is never served: the read fails. A start therefore checks only what costs the same
however long the history is: a small database as a whole, of a large one the pages that the start
itself reads. `PageCheck` checks all pages of a large one while it is in use.

Invariant: a database in which `refuse_damaged` finds damage is left byte for byte as it is, its
write-ahead log too: what can still be saved is saved from there.
"""

import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw

from storage.errors import DamagedDatabase
from storage.job_row import NOT_DUE, STARTABLE

CHECKED_AT_ONCE_BYTES = 16 * 1024 * 1024
"""The check of so much takes 20 ms, from a disk 50 ms: less than the imports beside it."""
READ_BYTES = 1024 * 1024
IO_SHARE = 0.25
"""How much of the time the check of a database in use may spend on reading."""
STEPS_BETWEEN_PAUSES = 20_000
"""Steps of SQLite's machine (a fifth of a millisecond), or pages."""
WAL_GROWTH_BYTES_MAX = 64 * 1024 * 1024
"""A check is one read transaction, and the write-ahead log cannot start anew below it."""
FAULTS_SHOWN_MAX = 3
ADVICE = (
    "Put a backup in its place (`headway backup` makes them), "
    "or save what can be read with `sqlite3 headway.db .recover`"
)

_HEAD = 1_000
READ_AT_START = (
    "SELECT * FROM scheduler",
    "SELECT * FROM type_limits",
    "SELECT * FROM job_counts",
    "SELECT * FROM run_counts",
    "SELECT * FROM job_runs INDEXED BY job_runs_running WHERE status = 'RUNNING'",
    "SELECT * FROM reservations INDEXED BY reservations_state WHERE state IN ('WAITING', 'HELD')",
    f"SELECT position FROM jobs INDEXED BY jobs_eligible WHERE {STARTABLE} LIMIT {_HEAD}",
    f"SELECT position FROM jobs INDEXED BY jobs_run_at WHERE {NOT_DUE} LIMIT {_HEAD}",
    "SELECT position FROM jobs INDEXED BY jobs_expires_at WHERE status = 'QUEUED'"
    f" AND expires_at IS NOT NULL LIMIT {_HEAD}",
    f"SELECT seq, at FROM events ORDER BY seq DESC LIMIT {_HEAD}",
    f"SELECT minute FROM history ORDER BY minute DESC LIMIT {_HEAD}",
)
"""What recovery and the first dispatch read, and the ends of what they write to."""


def refuse_damaged(connection: apsw.Connection, *, whole: bool) -> None:
    """Raise `DamagedDatabase` if there is a fault in what is checked at once: see above.

    `whole`: check all of it, however long that takes, since its pages will be rewritten.
    """
    faults: list[str] = []
    try:
        if whole and not checked_at_once(connection):
            read_through(Path(connection.filename), lambda _: False)
        if whole or checked_at_once(connection):
            faults = find_faults(connection)
        else:
            for sql in READ_AT_START:
                for _ in connection.execute(sql):
                    pass
    except (apsw.CorruptError, apsw.NotADBError) as error:
        faults = find_faults(connection) or [str(error)]
    if faults:
        raise DamagedDatabase(
            f"{connection.filename} is damaged and was left as it is: {'; '.join(faults)}. {ADVICE}"
        )


def checked_at_once(connection: apsw.Connection) -> bool:
    """Whether the database is so small that a start checks all of it."""
    pages, page_bytes = connection.pragma("page_count"), connection.pragma("page_size")
    assert isinstance(pages, int)
    assert isinstance(page_bytes, int)
    return pages * page_bytes <= CHECKED_AT_ONCE_BYTES


def read_through(path: Path, pause: Callable[[float], bool]) -> None:
    """Read a file from its beginning to its end, which brings it into the page cache.

    A tree is not stored in its own order: to check 400 MB takes 4 s from a disk, 0.3 s from memory.
    `pause` is called with how long each piece took (s); True ends it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        offset, begin = 0, time.monotonic()
        while piece := os.pread(descriptor, READ_BYTES, offset):
            offset += len(piece)
            if pause(time.monotonic() - begin):
                return
            begin = time.monotonic()
    finally:
        os.close(descriptor)


def find_faults(connection: apsw.Connection) -> list[str]:
    """What SQLite finds wrong with the pages, the first few of it, each with its table or index.

    Raises:
        apsw.InterruptError: the connection was interrupted.
        apsw.IOError: the disk fails.
    """
    faults: list[str] = []
    try:
        # Its findings about the structure come first, an error for a page it cannot read last.
        for (text,) in connection.execute(f"PRAGMA quick_check({FAULTS_SHOWN_MAX})"):
            lines = str(text).splitlines()
            faults += [line for line in lines if line != "ok" and "***" not in line]
    except (apsw.CorruptError, apsw.NotADBError) as error:
        faults = faults or [str(error)]
    return [_named(connection, fault) for fault in faults[:FAULTS_SHOWN_MAX]]


def _named(connection: apsw.Connection, fault: str) -> str:
    """SQLite's sentence, which knows a tree by the number of its first page, with its name."""
    if (tree := re.match(r"Tree (\d+)", fault)) is None:
        return fault
    try:
        name = connection.execute(
            "SELECT type || ' ' || name FROM sqlite_schema WHERE rootpage = ?", (int(tree[1]),)
        ).get
    except apsw.Error:
        return fault
    return f"{name}: {fault}" if name else fault


class PageCheck:
    """A check of all pages of a database in use. `run` blocks; `stop` may come from any thread."""

    def __init__(self, path: Path, open_reader: Callable[[Path], apsw.Connection]) -> None:
        self._path = path
        self._open_reader = open_reader
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def run(self) -> list[str] | None:
        """The faults. None: it was stopped, or the write-ahead log has grown too much below it.

        To be called on a thread that does nothing else: it gets the lowest priority.
        """
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        try:
            read_through(self._path, self._pause)
        except OSError as error:
            return [f"it cannot be read: {error.strerror}"]
        if self._stopped.is_set():
            return None
        connection = self._open_reader(self._path)
        with self._lock:
            self._connection = connection
        try:
            connection.set_progress_handler(self._pause_or_end(), STEPS_BETWEEN_PAUSES)
            return find_faults(connection)
        except apsw.InterruptError:
            return None
        except apsw.IOError as error:
            return [str(error)]
        finally:
            with self._lock:
                self._connection = None
                connection.close()

    def stop(self) -> None:
        """End it at once."""
        self._stopped.set()
        # An interrupt of a connection that is being closed is undefined: sqlite3_interrupt().
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()

    def _pause(self, read_s: float) -> bool:
        return self._stopped.wait(read_s / IO_SHARE - read_s)

    def _pause_or_end(self) -> Callable[[], bool]:
        wal = Path(f"{self._path}-wal")
        limit = _file_bytes(wal) + WAL_GROWTH_BYTES_MAX
        worked_since = time.monotonic()

        def pause_or_end() -> bool:
            nonlocal worked_since
            # As long as it has worked: of a file that memory does not hold, each page is a read.
            stopped = self._stopped.wait(time.monotonic() - worked_since)
            worked_since = time.monotonic()
            return stopped or _file_bytes(wal) > limit

        return pause_or_end


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
