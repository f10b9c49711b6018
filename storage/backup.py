"""Back up the database while a server may write: a consistent, checked copy, or none."""

import errno
import os
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import apsw

from storage.damage import find_faults
from storage.data_directory import PRIVATE_FILE
from storage.database import open_reader, snapshot
from storage.errors import NewerDatabase
from storage.new_file import new_file

PAGES_AT_ONCE = 1_000
"""Signals are handled between two such steps."""


class BackupFailed(Exception):
    """No copy was made; the message has the reason."""


def back_up(source: Path, target: Path) -> int:
    """Copy the database `source` into a new file that only its owner may read; bytes written.

    Raises:
        FileExistsError: `target` is there, and stays as it is.
        BackupFailed: nothing was left at `target`.
    """
    try:
        with new_file(target, mode=PRIVATE_FILE) as beside:
            _copy(source, beside)
            _refuse_faults(source, beside)
        return target.stat().st_size
    except FileExistsError:
        raise
    except FileNotFoundError:
        raise BackupFailed(
            f"cannot write {target}: there is no directory {target.parent}"
        ) from None
    except apsw.FullError:
        raise BackupFailed(f"cannot write {target}: {os.strerror(errno.ENOSPC)}") from None
    except (NewerDatabase, apsw.Error) as error:
        raise BackupFailed(f"cannot copy {source} to {target}: {error}") from error
    except OSError as error:
        raise BackupFailed(f"cannot write {target}: {error.strerror}") from error


def _copy(source: Path, target: Path) -> None:
    with closing(open_reader(source)) as reader, closing(apsw.Connection(str(target))) as copy:
        # It is new, and is thrown away if anything goes wrong: a journal would be of no use.
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):
            copy.execute(f"PRAGMA {pragma}").fetchall()
        # All pages in one read transaction: writers go on, and the copy is of one moment.
        with snapshot(reader), copy.backup("main", reader, "main") as copying:
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            while not copying.done:
                copying.step(PAGES_AT_ONCE)


def _refuse_faults(source: Path, copy: Path) -> None:
    # Without a log and locks of its own: it is complete and not in use.
    uri = f"file:{quote(os.fsencode(copy.absolute()))}?mode=ro&immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    with closing(apsw.Connection(uri, flags=flags)) as connection:
        if faults := find_faults(connection):
            raise BackupFailed(
                f"{source} is damaged, so no copy was kept: {'; '.join(faults)}. "
                "Go back to the last backup"
            )
