"""batch: 10,000 Jobs in one request, beside the same rows inserted by a bare loop, and Huey.

In parallel another client reads a Job every 10 ms, or queues one, and once more while nothing else
happens. A reader should not notice the batch. A client that queues does: it waits for the one
writer, which has the batch's transaction open.

The bare loop gets exactly what headway left in its tables for the batch, in tables of the same
schema on a connection with the same pragmas: statement by statement, in one transaction.
"""

import json
import time
from pathlib import Path
from typing import Any

import apsw

from bench.peer import huey_enqueue
from bench.probe import Probe
from bench.result import Figure, Report, at_least, percentile, ratio
from bench.server import Program, stopped_headway
from storage.database import DATABASE_NAME, open_reader, open_writer

SUMMARY = "POST /jobs/batch of 10,000, beside a bare APSW loop and Huey with fsync"
JOBS = 10_000
PROBES_PER_S, PROBES = 100, 200
TABLES = {"jobs": "position", "events": "seq"}
"""The tables that a batch writes, with the columns that number their rows."""

Rows = dict[str, list[tuple[Any, ...]]]


def run(directory: Path, quick: bool) -> Report:
    """Rounds in turn; both databases grow by the same rows."""
    rounds, tasks = (2, 150) if quick else (9, 2_000)
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
            queued = huey_enqueue(directory / f"huey-{number}.db", tasks)
            if number:  # the first round warms up
                headway_s.append(submitted / JOBS)
                bare_s.append(inserted / JOBS)
                huey_s.append(queued / tasks)
        reader.close()
        bare.close()
        others = _others(server, 1 if quick else 5)
    return _report(headway_s, bare_s, huey_s, others)


def _others(server: Program, rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """p99 (ms) of another client's requests: (during batches, without batches)."""
    with server.connect() as connection:
        job = connection.json("POST", "/jobs", {"type": "true"}, status=201)
    asked = {
        "GET a Job": ("GET", f"/jobs/{job['job_id']}", b"", 200),
        "POST a Job": ("POST", "/jobs", b'{"type":"true"}', 201),
    }
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in asked}
    for _ in range(rounds):
        for name, (method, path, body, status) in asked.items():
            for busy, p99s in zip((True, False), found[name], strict=True):
                probe = Probe(
                    server.url, method, path, body, status=status, per_s=PROBES_PER_S, count=PROBES
                )
                while busy and probe.is_asking:
                    _submit(server)
                p99s.append(percentile(probe.times(), 99) * 1e3)
    return found


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


def _report(
    headway_s: list[float],
    bare_s: list[float],
    huey_s: list[float],
    others: dict[str, tuple[list[float], list[float]]],
) -> Report:
    def rate(name: str, seconds: list[float]) -> Figure:
        return Figure(name, "jobs/s", tuple(1 / s for s in seconds))

    ours, bare = rate("headway", headway_s), rate("bare APSW loop, one transaction", bare_s)
    huey = rate("Huey, in process, fsync", huey_s)
    beside = [
        Figure(f"{name} {when}: p99", "ms", tuple(p99s))
        for name, both in others.items()
        for when, p99s in zip(("beside batches", "alone"), both, strict=True)
    ]
    return Report(
        (
            ratio("headway / bare loop", ours, bare, at_least(0.4)),
            ratio("headway / Huey", ours, huey, at_least(4)),
            ours,
            bare,
            huey,
            *beside,
        )
    )
