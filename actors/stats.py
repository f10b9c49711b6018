"""Stats: follows the published events, and folds them into figures.

Totals are kept in the database (`storage/scheduler.py`); here are the percentiles of the last runs
of each type, rebuilt from the database when the actor starts, and what the process has counted
(`tally.py`).
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import apsw
import trio
from pydantic_core import from_json

from actors.actor import Actor, Envelope, Mailbox
from actors.clock import Clock
from actors.event_buffer import EventBuffer
from actors.messages import GetMetrics
from actors.storage_watch import StorageWatch
from actors.tally import Tally
from headway.model.scheduler import Metrics, TypeTimes
from storage.database import snapshot
from storage.events import Event, last_seq
from storage.runs import last_runs

RUNS_PER_TYPE_MAX = 1_000
"""How many of a type's last runs the percentiles are taken over."""
EVENTS_AT_ONCE = 500
"""How many events are folded before other tasks run."""

PERCENTILES = (50, 95, 99)


class _Sample(NamedTuple):
    finished_at: int
    status: str
    wait_s: float
    run_s: float


def _window(rows: Iterable[Any] = ()) -> deque[_Sample]:
    return deque(map(_Sample._make, rows), RUNS_PER_TYPE_MAX)


class Stats(Actor):
    """Reads the event buffer; its cursor is the tally's, which outlives it."""

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
        self._windows: dict[str, deque[_Sample]] = {}
        self._rebuilt_at = 0
        """The number of the last event whose run the windows were built from."""

    async def start(self, nursery: trio.Nursery) -> None:
        """Rebuild the windows from the runs that are there, then follow the events."""
        with snapshot(self._reader):
            self._rebuilt_at = last_seq(self._reader)
            self._windows = {
                name: _window(last_runs(self._reader, name, RUNS_PER_TYPE_MAX))
                for name in self._types
            }
        nursery.start_soon(self._follow)

    async def handle(self, batch: list[Envelope]) -> None:
        """Answer as of the last event that was published."""
        for envelope in batch:
            match envelope.message:
                case GetMetrics():
                    assert envelope.reply is not None
                    await self._catch_up()
                    envelope.reply.answer(self._metrics())
                case other:
                    raise AssertionError(f"stats does not understand {other!r}")

    async def _follow(self) -> None:
        while True:
            await self._events.wait_beyond(self._tally.last_seq)
            await self._catch_up()
            self._storage.look()

    async def _catch_up(self) -> None:
        """Fold every event that was published; other tasks run between two slices."""
        while (seq := self._tally.last_seq) < self._events.last_seq:
            for event in self._events.read(self._reader, seq, limit=EVENTS_AT_ONCE):
                self._fold(event)
            assert self._tally.last_seq > seq, f"event {seq + 1} is missing"
            await trio.lowlevel.checkpoint()

    def _fold(self, event: Event) -> None:
        self._tally.last_seq = event.seq
        if event.kind == "server.reloaded":
            for name in from_json(event.data)["types"]:
                self._windows.setdefault(name, _window())
        elif event.kind == "run.finished":
            self._add(event.seq, from_json(event.data), event.at)

    def _add(self, seq: int, data: dict[str, Any], at: int) -> None:
        """Count the end of a run. Of earlier versions, `data` has no `finished_at`."""
        finished_at = data.get("finished_at", at)
        status, waited_s, ran_s = data["status"], data["waited_s"], data["duration_s"]
        self._tally.add(
            data["type"], status, waited_s=waited_s, ran_s=ran_s, finished_at=finished_at
        )
        if seq > self._rebuilt_at:  # else it is among the runs that the windows were built from
            window = self._windows.setdefault(data["type"], _window())
            window.append(_Sample(finished_at, status, waited_s, ran_s))

    def _metrics(self) -> Metrics:
        now = self._clock.now()
        types = [summary(name, window, now) for name, window in sorted(self._windows.items())]
        return Metrics(types=types)


def summary(type_name: str, samples: Sequence[_Sample], now: int) -> TypeTimes:
    """Percentiles by the nearest-rank method, and the rate over the window's time."""
    span_s = (now - samples[0].finished_at) / 1e6 if samples else 0.0
    return TypeTimes(
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
