"""The broadcaster: events encoded once for all streams, and one clock that wakes the streams.

A stream has only a cursor, so a thousand of them share one ring. New events are released to all
streams in rounds: the more streams there are, the longer the pause between two rounds, and the more
events each of them carries. In a round a few streams are woken at a time, so that requests run in
between.

Invariant: no stream receives an event before its round, and a stream that waits is woken by the
next round, by the heartbeat and by the end.
"""

from collections.abc import Sequence
from typing import NamedTuple

import trio
from pydantic_core import from_json, to_json

from actors.event_buffer import KEPT_EVENTS, EventBuffer, Live
from headway.model.field import from_us
from storage.events import SYSTEM, Event
from web.api.request_priority import RequestPriority
from web.streams.sse import HEARTBEAT_S, format_event, frame

PAUSE_PER_STREAM_S = 0.000_25
"""A stream costs about 50 µs a round: all streams together get at most a fifth of one core."""
PAUSE_PER_ROUND = 4
"""On a busy machine, where a round takes longer, it is a fifth of the time."""
PAUSE_MAX_S = 2.0
WOKEN_AT_ONCE = 4
"""A request that arrives in the middle of a round is read after 0.2 ms."""
PATIENCE_S = 0.5
"""How much longer a round may take because of requests."""
EVENTS_PER_PIECE_MAX = 1_000


class EncodedEvent(NamedTuple):
    """An event as it is sent. `type`: that of its Job or run, if it has one.

    `seq` of a live event counts live events only, and is not sent.
    """

    seq: int
    kind: str
    job_id: str | None
    type: str | None
    wire: bytes


def encode(event: Event) -> EncodedEvent:
    """Encode an event. Its data was encoded in its transaction, and is copied."""
    head = {
        "seq": event.seq,
        "at": from_us(event.at),
        "kind": event.kind,
        "job_id": event.job_id,
        "run_id": event.run_id,
        "actor": event.actor,
    }
    text = b'%s,"data":%s}' % (to_json(head)[:-1], event.data.encode())
    wire = frame(event.kind, text, event.seq)
    return EncodedEvent(
        event.seq, event.kind, event.job_id, from_json(event.data).get("type"), wire
    )


def encode_live(live: Live) -> EncodedEvent:
    """Encode a live event: without an id, since no stream can be resumed after it."""
    fields = {
        "seq": None,
        "at": from_us(live.at),
        "kind": live.kind,
        "job_id": live.job_id,
        "run_id": live.run_id,
        "actor": SYSTEM,
        "data": live.data,
    }
    wire = format_event(live.kind, fields)
    return EncodedEvent(live.number, live.kind, live.job_id, live.data.get("type"), wire)


class Broadcaster:
    """Releases events to the streams of a server."""

    def __init__(
        self, events: EventBuffer, draining: trio.Event, request_priority: RequestPriority
    ) -> None:
        self._events = events
        self._request_priority = request_priority
        self._draining = draining
        self._lot = trio.lowlevel.ParkingLot()
        self._has_streams = trio.Event()
        self._encoded: dict[int, EncodedEvent] = {}
        # Most streams have the same cursor: the events of the last one are kept for the next.
        self._last: tuple[tuple[int, int], list[EncodedEvent] | None] = ((-1, -1), None)
        self._piece: tuple[Sequence[EncodedEvent], bytes] = ((), b"")
        self._live: tuple[tuple[int, int, int], list[EncodedEvent]] = ((0, 0, 0), [])
        self._released_live = 0
        self.released = 0
        """The number of the last event that is released to streams."""
        self.beats = 0
        """How many heartbeats there have been."""
        self.is_over = False
        """Whether the server ends the streams."""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wake the streams. Runs until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end)
            task_status.started()
            beat_at = trio.current_time() + HEARTBEAT_S
            while True:
                if not self._lot:
                    self._has_streams = trio.Event()
                    await self._has_streams.wait()
                    beat_at = max(beat_at, trio.current_time() + HEARTBEAT_S / 2)
                with trio.move_on_at(beat_at):
                    await self._events.changed(self.released, self._released_live)
                if trio.current_time() >= beat_at:
                    self.beats += 1
                    beat_at = trio.current_time() + HEARTBEAT_S
                self.released, self._released_live = self._events.last_seq, self._events.last_live
                await trio.sleep(await self._wake())

    async def _wake(self) -> float:
        """Wake the streams of one round. Returns the pause until the next in seconds."""
        streams = left = len(self._lot)
        until = trio.current_time() + PATIENCE_S
        took_s = 0.0
        while left > 0:
            began = trio.current_time()
            self._lot.unpark(count=min(left, WOKEN_AT_ONCE))
            left -= WOKEN_AT_ONCE
            await trio.lowlevel.checkpoint()
            took_s += trio.current_time() - began
            await self._request_priority.give_way(until)
        return min(PAUSE_MAX_S, max(streams * PAUSE_PER_STREAM_S, took_s * PAUSE_PER_ROUND))

    async def _end(self) -> None:
        await self._draining.wait()
        self.is_over = True
        self.released = self._events.last_seq
        await self._wake()

    async def wait(self) -> None:
        """Wait for the next round, the next heartbeat or the end."""
        if self.is_over:
            return
        self._has_streams.set()
        await self._lot.park()

    def after(self, seq: int) -> list[EncodedEvent] | None:
        """The next released events after `seq`; None: they are only in the table by now."""
        if self._last[0] != (seq, self.released):
            events = self._events.after(seq, limit=min(EVENTS_PER_PIECE_MAX, self.released - seq))
            encoded = None if events is None else [self._encode(event) for event in events]
            self._last = (seq, self.released), encoded
        return self._last[1]

    def live_after(self, number: int, seq: int) -> list[EncodedEvent]:
        """The live events newer than `number`, for a stream that has sent those up to `seq`."""
        key = (number, seq, self._events.last_live)
        if self._live[0] != key:
            self._live = key, [encode_live(live) for live in self._events.live_after(number, seq)]
        return self._live[1]

    def _encode(self, event: Event) -> EncodedEvent:
        if (encoded := self._encoded.get(event.seq)) is None:
            encoded = self._encoded[event.seq] = encode(event)
            if len(self._encoded) > KEPT_EVENTS:
                del self._encoded[next(iter(self._encoded))]
        return encoded

    def join(self, events: Sequence[EncodedEvent]) -> bytes:
        """The events in one piece."""
        if self._piece[0] is not events:
            self._piece = (events, b"".join(event.wire for event in events))
        return self._piece[1]
