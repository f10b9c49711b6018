"""A look at the pages of the file before anything is written to it.

Invariant: a database that was found damaged is left byte for byte as it is, its write-ahead log
too: what can still be saved is saved from there.
"""

import re

import apsw

from storage.errors import DamagedDatabase

STEPS_MAX = 35_000_000
"""Steps of SQLite's machine, about 0.4 s: 100,000 Jobs take 8 million. Every page takes one, and is
looked at first; of the rows of a larger database some are left to `headway verify`."""
FAULTS_SHOWN_MAX = 3


def refuse_damaged(connection: apsw.Connection) -> None:
    """Raise `DamagedDatabase` if SQLite finds a fault in the file; the message names the pages."""
    faults: list[str] = []
    # Asked once, when it is enough: each question takes the interpreter's lock from who imports.
    connection.set_progress_handler(lambda: True, STEPS_MAX)
    try:
        for (found,) in connection.execute(f"PRAGMA quick_check({FAULTS_SHOWN_MAX})"):
            faults += [
                line for line in str(found).splitlines() if line != "ok" and "***" not in line
            ]
    except apsw.InterruptError:
        pass
    except (apsw.CorruptError, apsw.NotADBError) as error:
        faults = faults or [str(error)]
    finally:
        connection.set_progress_handler(None)
    if faults:
        raise DamagedDatabase(
            f"{connection.filename} is damaged and was left as it is: "
            f"{'; '.join(_named(connection, fault) for fault in faults[:FAULTS_SHOWN_MAX])}. "
            "Put a backup in its place (`headway backup` makes them), "
            "or save what can be read with `sqlite3 headway.db .recover`"
        )


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
