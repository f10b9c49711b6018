"""The last events in memory, for all that follow them, and what is live beside them.

The publisher fills it; each reader has a cursor, and reads older events from the `events` table.

Live is what no transaction holds, or not yet: the newest progress of each Job that runs, and what
of the host keeps Jobs from starting. It has no sequence number, only the newest counts, and a
progress goes with the run's end.

Invariant: events appear here in the order of their numbers, each once, and only after their commit.
What is live appears after the event `run.started` of its run, and never after `run.finished`.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import apsw
import trio
from pydantic_core import from_json

from headway.model.job import Progress
from headway.model.scheduler import HostCondition
from storage.events import Event, events_after

KEPT_EVENTS = 10_000


LiveKind = Literal["job.progress", "scheduler.host"]
"""What is live: the newest progress of a Job, and what of the host keeps Jobs from starting."""


class Live(NamedTuple):
    """The newest live state of one Job, or of the host (`job_id` None). `data` as in an event.

    `number` grows with each, of whatever Job; `at` in µs. It may be shown once the event
    numbered `after_seq` has been.
    """

    number: int
    after_seq: int
    at: int
    kind: LiveKind
    job_id: str | None
    run_id: str | None
    data: dict[str, Any]


class Subscription:
    """Wakes its owner when an event about one Job or run appears."""

    def __init__(self) -> None:
        self._news = trio.Event()

    async def wait(self) -> None:
        """Return when there has been an event since the last call."""
        await self._news.wait()
        self._news = trio.Event()

    def wake(self) -> None:
        """Called by the buffer."""
        self._news.set()


class EventBuffer:
    """The last `KEPT_EVENTS` events after `last_seq`, that of the newest when the process began."""

    def __init__(self, last_seq: int = 0) -> None:
        self._ring: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._lot = trio.lowlevel.ParkingLot()
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._live: dict[str | None, Live] = {}  # by Job, in the order of their numbers
        self.last_seq = last_seq
        self.last_live = 0
        """The number of what came last of all that is live."""
        self.host_condition: HostCondition | None = None
        """What of the host keeps Jobs from starting."""

    def publish(self, events: Sequence[Event]) -> None:
        """Append events; those that were published already are ignored."""
        for event in events:
            if event.seq <= self.last_seq:
                continue
            assert event.seq == self.last_seq + 1, f"event {self.last_seq + 1} is missing"
            self.last_seq = event.seq
            self._ring.append(event)
            if event.job_id is not None and event.job_id in self._live:
                self._settle(event)
            for key in (event.job_id, event.run_id):
                if key is not None and key in self._subscriptions:
                    for subscription in self._subscriptions[key]:
                        subscription.wake()
        self._lot.unpark_all()

    # ---- live --------------------------------------------------------------------------------

    def report(self, job_id: str, run_id: str, type_: str, progress: Progress, at: int) -> None:
        """Show the progress of a run, whose start has been published."""
        data = {"type": type_, **progress.model_dump()}
        self._put(Live(0, 0, at, "job.progress", job_id, run_id, data))
        self._lot.unpark_all()

    def progress(self, job_id: str) -> Progress | None:
        """The newest progress of a running Job; None if the stored one is as new."""
        live = self._live.get(job_id)
        return None if live is None else _progress_in(live.data)

    def note_host(self, condition: HostCondition | None, at: int) -> None:
        """Publish the condition of the host that prevents starts; None: there is none any more."""
        if condition == self.host_condition:
            return
        self.host_condition = condition
        data = {"host_condition": None if condition is None else condition.model_dump()}
        self._put(Live(0, 0, at, "scheduler.host", None, None, data))
        self._lot.unpark_all()

    def live_after(self, number: int, seq: int) -> list[Live]:
        """The live states newer than `number`, in order, for a reader whose cursor is `seq`."""
        found: list[Live] = []
        for live in reversed(self._live.values()):
            if live.number <= number:
                break
            found.append(live)
        found.reverse()
        return [live for live in found if live.after_seq <= seq]

    def _put(self, live: Live) -> None:
        self.last_live += 1
        self._live.pop(live.job_id, None)
        numbered = live._replace(number=self.last_live, after_seq=self.last_seq)
        self._live[live.job_id] = numbered

    def _settle(self, event: Event) -> None:
        """Drop what the event makes stale; show again what is newer than the event."""
        job_id = str(event.job_id)
        if event.kind == "run.finished":
            del self._live[job_id]
        elif event.kind == "job.progress":
            live = self._live[job_id]
            if _progress_in(live.data) == _progress_in(from_json(event.data)):
                del self._live[job_id]
            else:
                self._put(live)

    # ---- readers -----------------------------------------------------------------------------

    @contextmanager
    def subscribe(self, key: str) -> Iterator[Subscription]:
        """Be woken by every event about this Job or run, from now on."""
        subscription = Subscription()
        self._subscriptions[key].add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions[key].discard(subscription)
            if not self._subscriptions[key]:
                del self._subscriptions[key]

    async def changed(self, seq: int, number: int) -> None:
        """Wait for events after `seq`, or for something live that is newer than `number`."""
        while self.last_seq <= seq and self.last_live <= number:
            await self._lot.park()

    async def wait_beyond(self, seq: int) -> None:
        """Wait for an event after `seq`."""
        while self.last_seq <= seq:
            await self._lot.park()

    async def beyond(self, seq: int) -> list[Event] | None:
        """Wait for events after `seq`. None: some of them are no longer here, read the table."""
        await self.wait_beyond(seq)
        return self.after(seq)

    def read(self, reader: apsw.Connection, seq: int, *, limit: int) -> list[Event]:
        """The next events after `seq`: from here, or from the table if they are older."""
        found = self.after(seq, limit=limit)
        return events_after(reader, seq, limit=limit) if found is None else found

    def after(self, seq: int, *, limit: int = KEPT_EVENTS) -> list[Event] | None:
        """The next events after `seq`, at most `limit`. None: some of them are no longer here."""
        if not self._ring or self._ring[0].seq > seq + 1:
            return None
        # Numbers have no gap, so the new ones are the last so many of the ring.
        begin = len(self._ring) - (self.last_seq - seq)
        end = min(begin + limit, len(self._ring))
        return [self._ring[index] for index in range(begin, end)]


def _progress_in(data: dict[str, Any]) -> Progress:
    return Progress.model_construct(fraction=data["fraction"], message=data["message"])
