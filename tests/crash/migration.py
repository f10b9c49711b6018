"""A migration that headway does not have, so that servers can be killed in the middle of one.

It is longer than a real one of today, on a database that holds Jobs: it copies every event.
"""

from collections.abc import Iterator
from functools import cache

import apsw

import storage.database

MIGRATION = """\
CREATE TABLE crash_probe AS SELECT seq, kind, job_id, data FROM events;
CREATE INDEX crash_probe_kind ON crash_probe (kind, seq);
CREATE TABLE crash_probed (n INTEGER);
INSERT INTO crash_probed SELECT count(*) FROM crash_probe;
"""


def know_it(sql: str = MIGRATION) -> int:
    """Add it as the last migration of the headway in this process. Returns its number."""
    known = storage.database.migrations()
    if known[-1][1] == sql:
        return known[-1][0]
    added = (*known, (known[-1][0] + 1, sql))
    storage.database.migrations = cache(lambda: added)
    return added[-1][0]


def half_done(connection: apsw.Connection, number: int) -> Iterator[str]:
    """The parts of it that exist, if that is neither all nor nothing."""
    is_there = storage.database.user_version(connection) >= number
    tables = connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'crash_probe*'"
    ).get
    if tables != (3 if is_there else 0):
        yield f"of migration {number} there are {tables} parts"
    elif is_there:
        recorded, copied = connection.execute(
            "SELECT (SELECT n FROM crash_probed), (SELECT count(*) FROM crash_probe)"
        ).fetchone()  # type: ignore[misc]
        if recorded != copied:
            yield f"migration {number} made {copied} rows and says {recorded}"
