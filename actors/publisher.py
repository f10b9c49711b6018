"""The publisher: committed events go from the scheduler to it, and it alone fills the event buffer.

Stats, event streams and requests that wait for a Job read the buffer, each with its own cursor.

Invariant: every committed event is published once, in order. What was committed while no publisher
ran, or by a scheduler that crashed before it sent its message, is read from the `events` table.
"""

import apsw
import trio

from actors.actor import Actor, Envelope, Mailbox
from actors.event_buffer import EventBuffer
from actors.messages import EventsCommitted, HostChanged, ProgressReported
from storage.events import Event, events_after, last_seq

EVENTS_AT_ONCE = 500
"""How many events of a large batch are published before other tasks run."""


class Publisher(Actor):
    """Owns the event buffer, which outlives it. `reader`: a connection on the event loop."""

    batch_size = 64

    def __init__(self, mailbox: Mailbox, *, events: EventBuffer, reader: apsw.Connection) -> None:
        super().__init__(mailbox)
        self._events = events
        self._reader = reader

    async def start(self, nursery: trio.Nursery) -> None:
        """Publish what was committed while no publisher ran."""
        await self._catch_up(last_seq(self._reader))

    async def handle(self, batch: list[Envelope]) -> None:
        """Publish in the order of the commits."""
        for envelope in batch:
            match envelope.message:
                case EventsCommitted(events=events):
                    await self._catch_up(events[0].seq - 1)
                    await self._publish(events)
                case ProgressReported() as report:
                    self._events.report(
                        report.job_id, report.run_id, report.type, report.progress, report.at
                    )
                case HostChanged(condition=condition, at=at):
                    self._events.note_host(condition, at)
                case other:
                    raise AssertionError(f"the publisher does not understand {other!r}")

    async def _publish(self, events: tuple[Event, ...]) -> None:
        for begin in range(0, len(events), EVENTS_AT_ONCE):
            if begin:
                await trio.lowlevel.checkpoint()
            self._events.publish(events[begin : begin + EVENTS_AT_ONCE])

    async def _catch_up(self, until: int) -> None:
        """Publish from the table what is missing up to this number."""
        while (seq := self._events.last_seq) < until:
            found = events_after(self._reader, seq, limit=min(EVENTS_AT_ONCE, until - seq))
            assert found, f"event {seq + 1} is missing"
            self._events.publish(found)
            await trio.lowlevel.checkpoint()
