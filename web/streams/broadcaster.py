"""What all event streams share: events as bytes, made once, and one clock that wakes the streams.

A stream has a cursor and nothing else, so a thousand of them cost one ring. New events are released
to all streams at a time, in rounds: the more streams there are, the longer the pause between two
rounds, and the more events each of them carries. In a round a few streams are woken at a time, so
that requests have their turn in between.

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
"""And a fifth of the time where the machine is so busy that a round takes longer."""
PAUSE_MAX_S = 2.0
WOKEN_AT_ONCE = 4
"""So a request that comes in the middle of a round waits for 0.2 ms until it is seen."""
PATIENCE_S = 0.5
"""So much later a round may end for the sake of requests."""
EVENTS_PER_PIECE_MAX = 1_000


class Shown(NamedTuple):
    """An event as it goes out. `type`: of its Job or run, if it has one.

    `seq` of what is live counts only what is live, and does not go out.
    """

    seq: int
    kind: str
    job_id: str | None
    type: str | None
    wire: bytes


def show(event: Event) -> Shown:
    """One event on the wire. Its data was encoded in its transaction, and is copied."""
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
    return Shown(event.seq, event.kind, event.job_id, from_json(event.data).get("type"), wire)


def show_live(live: Live) -> Shown:
    """What is live on the wire: without an id, since a resume begins elsewhere."""
    told = {
        "seq": None,
        "at": from_us(live.at),
        "kind": live.kind,
        "job_id": live.job_id,
        "run_id": live.run_id,
        "actor": SYSTEM,
        "data": live.data,
    }
    wire = format_event(live.kind, told)
    return Shown(live.number, live.kind, live.job_id, live.data.get("type"), wire)


class Broadcaster:
    """One for a server."""

    def __init__(
        self, events: EventBuffer, draining: trio.Event, request_priority: RequestPriority
    ) -> None:
        self._events = events
        self._request_priority = request_priority
        self._draining = draining
        self._lot = trio.lowlevel.ParkingLot()
        self._somebody = trio.Event()
        self._shown: dict[int, Shown] = {}
        # Most streams stand at the same place: what the last one got is kept for the next.
        self._last: tuple[tuple[int, int], list[Shown] | None] = ((-1, -1), None)
        self._piece: tuple[Sequence[Shown], bytes] = ((), b"")
        self._live: tuple[tuple[int, int, int], list[Shown]] = ((0, 0, 0), [])
        self._released_live = 0
        self.released = 0
        """The last event that streams may see."""
        self.beats = 0
        """How many heartbeats there have been."""
        self.is_over = False
        """Whether the server says goodbye."""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wake the streams. Runs until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end)
            task_status.started()
            beat_at = trio.current_time() + HEARTBEAT_S
            while True:
                if not self._lot:
                    self._somebody = trio.Event()
                    await self._somebody.wait()
                    beat_at = max(beat_at, trio.current_time() + HEARTBEAT_S / 2)
                with trio.move_on_at(beat_at):
                    await self._events.changed(self.released, self._released_live)
                if trio.current_time() >= beat_at:
                    self.beats += 1
                    beat_at = trio.current_time() + HEARTBEAT_S
                self.released, self._released_live = self._events.last_seq, self._events.last_live
                await trio.sleep(await self._wake())

    async def _wake(self) -> float:
        """One round. How many seconds there shall be until the next."""
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
        """Until the next round, the next heartbeat or the end."""
        if self.is_over:
            return
        self._somebody.set()
        await self._lot.park()

    def after(self, seq: int) -> list[Shown] | None:
        """The next released events after `seq`; None: they are no longer here, read the table."""
        if self._last[0] != (seq, self.released):
            events = self._events.after(seq, limit=min(EVENTS_PER_PIECE_MAX, self.released - seq))
            shown = None if events is None else [self._show(event) for event in events]
            self._last = (seq, self.released), shown
        return self._last[1]

    def live_after(self, number: int, seq: int) -> list[Shown]:
        """What is live and newer than `number`, for a stream that has told all up to `seq`."""
        key = (number, seq, self._events.last_live)
        if self._live[0] != key:
            self._live = key, [show_live(live) for live in self._events.live_after(number, seq)]
        return self._live[1]

    def _show(self, event: Event) -> Shown:
        if (shown := self._shown.get(event.seq)) is None:
            shown = self._shown[event.seq] = show(event)
            if len(self._shown) > KEPT_EVENTS:
                del self._shown[next(iter(self._shown))]
        return shown

    def join(self, events: Sequence[Shown]) -> bytes:
        """The events in one piece."""
        if self._piece[0] is not events:
            self._piece = (events, b"".join(event.wire for event in events))
        return self._piece[1]
