"""Stats: folds committed events into figures, and hands them on to what follows them.

Totals are kept in the database (`storage/scheduler.py`); here are the percentiles of the last runs
of each type, rebuilt from the database when the actor starts, and what the process has counted
(`tally.py`).
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import trio
from pydantic_core import from_json

from actors.actor import Actor, Envelope, Mailbox
from actors.clock import Clock
from actors.event_buffer import EventBuffer
from actors.messages import (
    EventsCommitted,
    GetMetrics,
    HostChanged,
    ProgressReported,
    TypeMetrics,
)
from actors.storage_watch import StorageWatch
from actors.tally import Tally
from storage.events import Event, events_after, last_seq
from storage.runs import DURATION_US

RUNS_PER_TYPE_MAX = 1_000
"""How many of a type's last runs the percentiles are taken over."""
EVENTS_AT_ONCE = 500
"""How many events of a large batch are published before others have a turn."""

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class _Sample:
    finished_at: int
    status: str
    wait_s: float
    run_s: float


@dataclass(slots=True)
class _Window:
    samples: deque[_Sample] = field(default_factory=lambda: deque(maxlen=RUNS_PER_TYPE_MAX))


class Stats(Actor):
    """Owns the buffer."""

    batch_size = 64

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        events: EventBuffer,
        clock: Clock,
        reader: apsw.Connection,
        storage: StorageWatch,
        tally: Tally,
        types: Sequence[str],
    ) -> None:
        super().__init__(mailbox)
        self._storage = storage
        self._tally = tally
        self._events = events
        self._clock = clock
        self._reader = reader
        self._types = tuple(types)
        self._windows: dict[str, _Window] = {}

    async def start(self, nursery: trio.Nursery) -> None:
        """Rebuild the windows, and publish what was committed while nobody was here to hear it."""
        connection = self._reader
        self._windows = {}
        for name in self._types:
            self._windows[name] = _Window()
            for row in last_runs(connection, name):
                self._windows[name].samples.append(_Sample(*row))
        if self._tally.last_seq is None:
            self._tally.last_seq = last_seq(connection)
        else:
            self._count_before(last_seq(connection) + 1)
        if self._events.last_seq == 0:
            self._events.last_seq = last_seq(connection)
        else:
            self._events.publish(events_after(connection, self._events.last_seq, limit=10_000))

    async def handle(self, batch: list[Envelope]) -> None:
        """Fold, then publish, in the order of the commits."""
        for envelope in batch:
            match envelope.message:
                case EventsCommitted(events=events):
                    await self._take(events)
                    self._storage.look()
                case ProgressReported() as told:
                    self._events.report(told.job_id, told.run_id, told.type, told.progress, told.at)
                case HostChanged(condition=condition, at=at):
                    self._events.note_host(condition, at)
                case GetMetrics():
                    assert envelope.reply is not None
                    envelope.reply.answer(self._metrics())
                case other:
                    raise AssertionError(f"stats does not understand {other!r}")

    def _count_before(self, seq: int) -> None:
        """Count what was committed before this event and came to no life of this actor."""
        while (counted := self._tally.last_seq) is not None and counted < seq - 1:
            limit = min(EVENTS_AT_ONCE, seq - 1 - counted)
            for event in events_after(self._reader, counted, limit=limit):
                self._count(event)
            assert self._tally.last_seq != counted, f"event {counted + 1} is missing"

    async def _take(self, events: Sequence[Event]) -> None:
        self._count_before(events[0].seq)
        for begin in range(0, len(events), EVENTS_AT_ONCE):
            if begin:
                await trio.lowlevel.checkpoint()
            slice_ = events[begin : begin + EVENTS_AT_ONCE]
            for event in slice_:
                self._fold(event)
            self._events.publish(slice_)

    def _fold(self, event: Event) -> None:
        if event.kind == "server.reloaded":
            for name in from_json(event.data)["types"]:
                self._windows.setdefault(name, _Window())
        data = self._count(event)
        # Events that the rebuilt windows hold already come with a number that the buffer knows.
        if data is not None and event.seq > self._events.last_seq:
            self._windows.setdefault(data["type"], _Window()).samples.append(
                _Sample(
                    data.get("finished_at", event.at),
                    data["status"],
                    data["waited_s"],
                    data["duration_s"],
                )
            )

    def _count(self, event: Event) -> dict[str, Any] | None:
        """Count an event once. Returns the data of a run's end, None for any other event."""
        assert self._tally.last_seq is not None
        is_new = event.seq > self._tally.last_seq
        if is_new:
            self._tally.last_seq = event.seq
        if event.kind != "run.finished":
            return None
        data: dict[str, Any] = from_json(event.data)
        if is_new:
            self._tally.add(
                data["type"],
                data["status"],
                waited_s=data["waited_s"],
                ran_s=data["duration_s"],
                finished_at=data.get("finished_at", event.at),
            )
        return data

    def _metrics(self) -> tuple[TypeMetrics, ...]:
        now = self._clock.now()
        return tuple(
            summary(name, window.samples, now) for name, window in sorted(self._windows.items())
        )


def last_runs(connection: apsw.Connection, type_name: str) -> apsw.Cursor:
    """(finished_at, status, wait_s, run_s) of the type's last runs, oldest first."""
    return connection.execute(
        "SELECT * FROM (SELECT finished_at, status, (started_at - eligible_at) / 1e6,"
        f" {DURATION_US} / 1e6 FROM job_runs WHERE type = ? AND finished_at IS NOT NULL"
        " ORDER BY finished_at DESC LIMIT ?) ORDER BY finished_at",
        (type_name, RUNS_PER_TYPE_MAX),
    )


def summary(type_name: str, samples: Sequence[_Sample], now: int) -> TypeMetrics:
    """Percentiles by the nearest-rank method, and the rate over the window's time."""
    span_s = (now - samples[0].finished_at) / 1e6 if samples else 0.0
    return TypeMetrics(
        type=type_name,
        runs=len(samples),
        by_status=dict(Counter(sample.status for sample in samples)),
        wait_s=percentiles([sample.wait_s for sample in samples]),
        run_s=percentiles([sample.run_s for sample in samples]),
        runs_per_minute=len(samples) / span_s * 60 if span_s > 0 else 0.0,
    )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Nearest rank: the smallest value that at least p per cent of all do not exceed."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {f"p{p}": ordered[max(0, -(-len(ordered) * p // 100) - 1)] for p in PERCENTILES}
