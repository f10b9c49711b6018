"""One write transaction: its connection, its one moment in time, and the events it appends.

Invariant: every change of a Job, run, reservation or of the scheduler appends an event here, so the
`events` table is complete, and its numbers have no gap.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw
from pydantic_core import to_json

from storage.database import transaction
from storage.events import COLUMNS, SYSTEM, Event, EventKind
from storage.rollup import add_up

INSERT = f"INSERT INTO events ({COLUMNS}) VALUES ({', '.join('?' * len(Event._fields))})"


@contextmanager
def write_transaction(connection: apsw.Connection, now: int) -> Iterator["Transaction"]:
    """One transaction with its events: all of it is on disk afterwards, or nothing.

    Raises:
        apsw.FullError: the disk is full; nothing happened.
        apsw.Error: anything else that SQLite reports; the outcome of a commit is unknown.
    """
    with transaction(connection):
        tx = Transaction(connection, now)
        yield tx
        tx.write_events()


class Transaction:
    """Handed to everything that writes. `now` (µs) is fixed once for all of it; `actor` causes it.

    Events are gathered, and written together at the end: `write_transaction` sees to it.
    """

    def __init__(self, connection: apsw.Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self.actor = SYSTEM
        self.events: list[Event] = []
        last = connection.execute("SELECT max(seq) FROM events").get
        self._next_seq = (last or 0) + 1

    def execute(self, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
        """Run one statement; the cursor that comes back iterates over its rows as tuples."""
        return self.connection.execute(sql, bindings)

    def emit(
        self,
        kind: EventKind,
        *,
        job_id: str | None = None,
        run_id: str | None = None,
        **data: Any,
    ) -> None:
        """Append an event to the sequence."""
        # By position: a batch appends 10,000 of them.
        self.events.append(
            Event(
                self._next_seq, self.now, kind, job_id, run_id, to_json(data).decode(), self.actor
            )
        )
        self._next_seq += 1

    def write_events(self) -> None:
        """Insert the gathered events, and add them to the sums of the minute."""
        self.connection.executemany(INSERT, self.events)
        add_up(self.connection, self.now, self.events)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Keep all changes of the block, or on an exception none, events included."""
        mark = len(self.events)
        seq = self._next_seq
        self.execute("SAVEPOINT message")
        try:
            yield
        except BaseException:
            del self.events[mark:]
            self._next_seq = seq
            # After a full disk or an I/O error SQLite has ended the whole transaction itself.
            if self.connection.in_transaction:
                self.execute("ROLLBACK TO message")
                self.execute("RELEASE message")
            raise
        self.execute("RELEASE message")
