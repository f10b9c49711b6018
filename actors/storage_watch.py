"""Watch the size of the database files, and warn about what needs the operator.

The write-ahead log starts anew once all of it is in the database and no reader needs it, so it has
16 MiB at most. It grows without end while one read transaction lasts: that of a long backup or
`headway verify`, or of another program. It is looked at after commits, since only they make it
grow, and no timer runs.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import structlog
import trio

from storage.data_directory import not_local

MIB = 1 << 20
LARGE_WAL_BYTES = 64 * MIB
"""Four times what is usual."""
USUAL_WAL_BYTES = 16 * MIB
LOOK_PAUSE_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSizes:
    """Bytes of the database, of its write-ahead log, and free for the server beside them."""

    database_bytes: int
    wal_bytes: int
    free_bytes: int


class StorageWatch:
    """`path`: the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = Path(f"{path}-wal")
        self._not_local = not_local(path.parent)
        self._wal_is_large = False
        self._look_at = 0.0
        if self._not_local is not None:
            log.warning("data directory not on a local disk", why=self._not_local)

    def look(self) -> None:
        """Log when the write-ahead log has become large, and when it is small again: each once."""
        now = trio.current_time()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_PAUSE_S
        size_bytes = _size_bytes(self._wal)
        if size_bytes > LARGE_WAL_BYTES and not self._wal_is_large:
            self._wal_is_large = True
            log.warning("write-ahead log large", size_bytes=size_bytes, why=_why(size_bytes))
        elif size_bytes <= USUAL_WAL_BYTES and self._wal_is_large:
            self._wal_is_large = False
            log.info("write-ahead log small again", size_bytes=size_bytes)

    def warnings(self) -> list[str]:
        """What needs the operator now, a sentence each."""
        found = [] if self._not_local is None else [self._not_local]
        if (size_bytes := _size_bytes(self._wal)) > LARGE_WAL_BYTES:
            found.append(_why(size_bytes))
        return found

    def sizes(self) -> StorageSizes:
        """The present sizes. Three system calls."""
        try:
            space = os.statvfs(self._path.parent)
            free_bytes = space.f_bavail * space.f_frsize
        except OSError:
            free_bytes = 0
        return StorageSizes(
            database_bytes=_size_bytes(self._path),
            wal_bytes=_size_bytes(self._wal),
            free_bytes=free_bytes,
        )


def _why(size_bytes: int) -> str:
    return (
        f"the write-ahead log of the database has grown to {size_bytes // MIB} MiB: a backup, "
        "`headway verify` or another program has been reading for long. It shrinks with the next "
        "commits after that has ended"
    )


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
