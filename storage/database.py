"""Opening the one SQLite file: lock, pragmas, migrations, and the thread that writes.

Invariant: at most one process writes a data directory, and within it only what is handed to the
writer's runner. What is written stands in the sibling modules.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw

from storage.damage import refuse_damaged
from storage.data_directory import PRIVATE_FILE, make_private
from storage.errors import DataDirectoryInUse, NewerDatabase, OlderDatabase

T = TypeVar("T")

DATABASE_NAME = "headway.db"
LOCK_NAME = "headway.lock"
LOG_FLAGS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE
LOG_PIECE_BYTES = 64 * 1024
"""SQLite's own file methods take less than 128 KiB at a time."""
DEAD_HOLDER_WAIT_S = 2.0
"""How long the lock of a server that is dead is waited for: a program that it was starting when it
was killed holds its descriptors until its exec."""
DEAD_HOLDER_LOOK_S = 0.01

PRAGMAS = (
    # Readers never wait for the writer, and a commit is one append to one file.
    "journal_mode = WAL",
    # A 201 means that it is on disk: WAL with NORMAL may lose the last commits at power loss.
    "synchronous = FULL",
    "foreign_keys = ON",
    # 1,000 pages is the default; 4,000 makes checkpoints rarer while the file stays below 16 MiB.
    "wal_autocheckpoint = 4000",
    # After a burst the write-ahead log shrinks to 16 MiB, not to nothing, so it is not re-grown.
    "journal_size_limit = 16777216",
    # KiB of pages kept per connection; enough for the inner nodes of every index at 1 M Jobs.
    "cache_size = -8000",
    "temp_store = MEMORY",
)


class Runner(Protocol):
    """Where blocking calls run: on a thread in production, inline in a simulation.

    A call that has begun is never abandoned: cancelling the caller waits for its end, since
    no other task would learn whether the transaction holds. A read may be given a `stop`, which is
    called once when its caller is cancelled, and makes the wait a short one.
    """

    async def run(self, work: Callable[[], T], stop: Callable[[], None] | None = None) -> T: ...


def open_writer(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """The connection that may write. Creates and migrates the database.

    Raises:
        NewerDatabase: its `user_version` is beyond this headway's migrations.
        DamagedDatabase: a page that was checked is damaged: see `storage/damage.py`.
        apsw.Error: SQLite cannot open or read it.
    """
    connection = apsw.Connection(str(path), vfs=vfs)
    # Until we know that we may: closing the last connection copies the log into the file.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    configure(connection)
    refuse_newer(connection)
    refuse_damaged(connection, whole=user_version(connection) < migrations()[-1][0])
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()
    _put_on_disk(connection, vfs)
    # The writer waits only for a `headway backup`, which holds no lock for longer.
    connection.set_busy_timeout(10_000)
    migrate(connection)
    return connection


def _put_on_disk(connection: apsw.Connection, vfs: str | None) -> None:
    """Copy what an earlier life has left in the write-ahead log, so that all we show is durable.

    A life that ended with a failed fsync leaves commits which can be read and are on no disk, and
    no later fsync would bring them there: the kernel takes their pages for written (Rebello et
    al., 2020). So the log is written once more, over itself, before anything relies on it.
    """
    # On a full disk it stays in the log until a later checkpoint; reads must go on.
    with suppress(apsw.FullError):
        _rewrite_log(connection.filename_wal, vfs)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _rewrite_log(name: str, vfs: str | None) -> None:
    """Write the log's own bytes over it, and sync it. At most 16 MiB or so: some 20 ms.

    It is synced also where a file system that copies on write has no space for them: then what a
    killed server had not synced is on disk, and only what a failed fsync lost is not.
    """
    try:
        log = apsw.VFSFile(vfs or "", name, [LOG_FLAGS, 0])
    except apsw.CantOpenError:
        return  # there is none
    try:
        size = log.xFileSize()
        with suppress(apsw.FullError):
            for offset in range(0, size, LOG_PIECE_BYTES):
                log.xWrite(log.xRead(min(LOG_PIECE_BYTES, size - offset), offset), offset)
        if size:
            log.xSync(apsw.SQLITE_SYNC_FULL)
    finally:
        log.xClose()


def open_reader(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """A connection that cannot write."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs)
    configure(connection)
    refuse_newer(connection)
    connection.set_busy_timeout(10_000)
    for pragma in ("query_only = ON", "cache_size = -4000", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def configure(connection: apsw.Connection) -> None:
    """What every connection needs.

    `casefold`, since SQLite's own lower() knows ASCII only. Plans that do not depend on the
    values that are bound: else a statement on a partial index is planned anew for each of them,
    four fifths of what the head of the queue costs. And a check of each page when it is read, since
    not all of a database is checked at its start.
    """
    connection.create_scalar_function("casefold", _casefold, 1, deterministic=True)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.execute("PRAGMA cell_size_check = ON").fetchall()


def _casefold(*texts: Any) -> Any:
    (text,) = texts
    return None if text is None else text.casefold()


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """(number, SQL) of every migration that this headway knows, in order."""
    found = []
    for entry in resources.files("storage.migrations").iterdir():
        if match := re.fullmatch(r"(\d{4})_\w+\.sql", entry.name):
            found.append((int(match[1]), entry.read_text(encoding="utf-8")))
    return tuple(sorted(found))


def user_version(connection: apsw.Connection) -> int:
    """The number of the last migration that the database has seen."""
    version = connection.pragma("user_version")
    assert isinstance(version, int)
    return version


def refuse_newer(connection: apsw.Connection) -> None:
    """Raise `NewerDatabase` before anything is written to a database that we do not understand."""
    newest = migrations()[-1][0]
    if (version := user_version(connection)) > newest:
        raise NewerDatabase(
            f"{connection.filename} has schema {version}, this headway knows {newest}: "
            "start it with the newer headway, or point data_dir elsewhere"
        )


def refuse_older(connection: apsw.Connection) -> None:
    """Raise `OlderDatabase` where it cannot be migrated, since it is only read."""
    newest = migrations()[-1][0]
    if (version := user_version(connection)) < newest:
        raise OlderDatabase(
            f"{connection.filename} has schema {version}, this headway reads {newest}: "
            "start the server with it once, which brings it up to date"
        )


def migrate(connection: apsw.Connection) -> None:
    """Apply what is missing, each migration in a transaction of its own."""
    version = user_version(connection)
    for number, sql in migrations():
        if number > version:
            with transaction(connection):
                for _ in connection.execute(sql):
                    pass
                connection.execute(f"PRAGMA user_version = {number}")


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when the body raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # SQLite rolls back by itself after some errors (disk full, I/O): then there is nothing to.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: str) -> bool:
    """Whether the process lives; one whose id is unknown is taken to be alive."""
    return not pid.isdecimal() or os.path.exists(f"/proc/{pid}")


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Every read in the block sees the same moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        # SQLite rolls back by itself after an I/O error, which must not be hidden by another one.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def directory_lock(data_dir: Path) -> Iterator[None]:
    """Hold the data directory. The kernel lets go of it when the process ends, however it ends.

    Raises:
        DataDirectoryInUse: another process holds it; the message names its pid.
        ExposedDirectory: see `make_private`.
    """
    make_private(data_dir)
    # Not inherited by programs: a run that outlives the server must not keep the lock.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(data_dir / LOCK_NAME, flags, PRIVATE_FILE)
    try:
        deadline = time.monotonic() + DEAD_HOLDER_WAIT_S
        while not _locked(descriptor):
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            if time.monotonic() > deadline or _lives(holder):
                raise DataDirectoryInUse(
                    f"{data_dir} is in use by the headway with process id {holder}: stop that one, "
                    "or give this one another --data-dir"
                )
            time.sleep(DEAD_HOLDER_LOOK_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
