"""Events: rows of the table `events`, and queries on it. Only a transaction appends one."""

from typing import Literal, NamedTuple

import apsw

EventKind = Literal[
    "server.started",
    "server.reloaded",
    "scheduler.started",
    "scheduler.stopped",
    "scheduler.configured",
    "job.submitted",
    "job.updated",
    "job.due",
    "job.progress",
    "job.cancel_requested",
    "job.cancelled",
    "job.skipped",
    "run.started",
    "run.process",
    "run.stopping",
    "run.finished",
    "run.collected",
    "reservation.requested",
    "reservation.held",
    "reservation.ended",
]

SYSTEM = "system"
"""The actor of every event until access control exists."""


class Event(NamedTuple):
    """A committed change. `at` in µs since 1970 UTC; `data` is a JSON object as text.

    `actor` caused it. The fields are in the order of the table's columns.
    """

    seq: int
    at: int
    kind: EventKind
    job_id: str | None
    run_id: str | None
    data: str
    actor: str = SYSTEM


COLUMNS = ", ".join(Event._fields)


def last_seq(connection: apsw.Connection) -> int:
    """The number of the newest event; 0 in a new database."""
    seq = connection.execute("SELECT coalesce(max(seq), 0) FROM events").get
    assert isinstance(seq, int)
    return seq


def events_after(
    connection: apsw.Connection, seq: int, *, limit: int, job_id: str | None = None
) -> list[Event]:
    """Up to `limit` events after `seq`, in order; of one Job only, if `job_id` is given."""
    where = "seq > ?"
    bindings: list[int | str] = [seq]
    if job_id is not None:
        where, bindings = "job_id = ? AND seq > ?", [job_id, seq]
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM events WHERE {where} ORDER BY seq LIMIT ?",
        (*bindings, limit),
    )
    return [Event(*row) for row in rows]
