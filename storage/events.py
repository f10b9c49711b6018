"""Events as the table `events` keeps them, and queries on it. Only a transaction adds one."""

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


class Event(NamedTuple):
    """Something that is now true. `at` in µs since 1970 UTC; `data` is a JSON object as text.

    Its fields stand in the order of the table's columns.
    """

    seq: int
    at: int
    kind: EventKind
    job_id: str | None
    run_id: str | None
    data: str


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
        f"SELECT seq, at, kind, job_id, run_id, data FROM events WHERE {where}"
        " ORDER BY seq LIMIT ?",
        (*bindings, limit),
    )
    return [
        Event(seq=seq, at=at, kind=kind, job_id=job_id, run_id=run_id, data=data)
        for seq, at, kind, job_id, run_id, data in rows
    ]
