"""batch: 10,000 Jobs in one request, beside the same rows inserted by a bare loop, and Huey.

The bare loop gets exactly what headway left in its tables for the batch, in tables of the same
schema on a connection with the same pragmas: statement by statement, in one transaction.
"""

import json
import time
from pathlib import Path
from typing import Any

import apsw

from bench.peer import huey_enqueue
from bench.result import Figure, Report, at_least, ratio
from bench.server import Program, stopped_headway
from storage.database import DATABASE_NAME, open_reader, open_writer

SUMMARY = "POST /jobs/batch of 10,000, beside a bare APSW loop and Huey with fsync"
JOBS = 10_000
TABLES = {"jobs": "position", "events": "seq"}
"""The tables that a batch writes, with what numbers their rows."""

Rows = dict[str, list[tuple[Any, ...]]]


def run(directory: Path, quick: bool) -> Report:
    """Rounds in turn; both databases grow by the same rows."""
    rounds = 3 if quick else 9
    headway_s, bare_s, huey_s = list[float](), list[float](), list[float]()
    with stopped_headway(directory / "headway") as server:
        database = directory / "headway" / "data" / DATABASE_NAME
        bare = open_writer(directory / "bare.db")
        reader = open_reader(database)
        seen = _newest(reader)
        for number in range(rounds + 1):
            submitted = _submit(server)
            rows = _rows_after(reader, seen)
            seen = _newest(reader)
            inserted = _insert(bare, rows)
            queued = huey_enqueue(directory / f"huey-{number}.db", JOBS)
            if number:  # the first round warms up
                headway_s.append(submitted)
                bare_s.append(inserted)
                huey_s.append(queued)
        reader.close()
        bare.close()
    return _report(headway_s, bare_s, huey_s)


def _submit(server: Program) -> float:
    jobs = [{"type": "true", "params": {"n": number}} for number in range(JOBS)]
    body = json.dumps({"jobs": jobs}).encode()
    with server.connect() as connection:
        begin = time.perf_counter()
        answer = connection.exchange("POST", "/jobs/batch", body, status=201)
        elapsed = time.perf_counter() - begin
    assert len(json.loads(answer)["jobs"]) == JOBS
    return elapsed


def _newest(reader: apsw.Connection) -> dict[str, int]:
    return {
        table: reader.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").get
        for table, key in TABLES.items()
    }


def _rows_after(reader: apsw.Connection, seen: dict[str, int]) -> Rows:
    return {
        table: reader.execute(
            f"SELECT * FROM {table} WHERE {key} > ? ORDER BY {key}", (seen[table],)
        ).fetchall()
        for table, key in TABLES.items()
    }


def _insert(connection: apsw.Connection, rows: Rows) -> float:
    assert len(rows["jobs"]) == JOBS
    begin = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    for table, values in rows.items():
        if values:
            sql = f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})"
            for value in values:
                connection.execute(sql, value)
    connection.execute("COMMIT")
    return time.perf_counter() - begin


def _report(headway_s: list[float], bare_s: list[float], huey_s: list[float]) -> Report:
    def rate(name: str, seconds: list[float]) -> Figure:
        return Figure(name, "jobs/s", tuple(JOBS / s for s in seconds))

    ours, bare = rate("headway", headway_s), rate("bare APSW loop, one transaction", bare_s)
    huey = rate("Huey, in process, fsync", huey_s)
    return Report(
        (
            ratio("headway / bare loop", ours, bare, at_least(0.4)),
            ratio("headway / Huey", ours, huey, at_least(4)),
            ours,
            bare,
            huey,
        )
    )
