"""Reading the sequence of events back."""

import apsw

from storage.transaction import Event


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
