"""Stats: folds committed facts into figures, and hands them on to what follows them.

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
from actors.event_buffer import Feed
from actors.messages import (
    FactsCommitted,
    GetMetrics,
    HostChanged,
    ProgressReported,
    TypeMetrics,
)
from actors.storage_watch import StorageWatch
from actors.tally import Tally
from storage.events import facts_after, last_seq
from storage.runs import DURATION_US
from storage.transaction import Fact

RUNS_PER_TYPE_MAX = 1_000
"""How many of a type's last runs the percentiles are taken over."""
FACTS_AT_ONCE = 500
"""How many facts of a large batch are published before others have a turn."""

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
    """Owns the feed."""

    batch_size = 64

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        feed: Feed,
        clock: Clock,
        reader: apsw.Connection,
        storage: StorageWatch,
        tally: Tally,
        types: Sequence[str],
    ) -> None:
        super().__init__(mailbox)
        self._storage = storage
        self._tally = tally
        self._feed = feed
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
        if self._feed.last_seq == 0:
            self._feed.last_seq = last_seq(connection)
        else:
            self._feed.publish(facts_after(connection, self._feed.last_seq, limit=10_000))

    async def handle(self, batch: list[Envelope]) -> None:
        """Fold, then publish, in the order of the commits."""
        for envelope in batch:
            match envelope.message:
                case FactsCommitted(facts=facts):
                    await self._take(facts)
                    self._storage.look()
                case ProgressReported() as told:
                    self._feed.report(told.job_id, told.run_id, told.type, told.progress, told.at)
                case HostChanged(condition=condition, at=at):
                    self._feed.note_host(condition, at)
                case GetMetrics():
                    assert envelope.reply is not None
                    envelope.reply.answer(self._metrics())
                case other:
                    raise AssertionError(f"stats does not understand {other!r}")

    def _count_before(self, seq: int) -> None:
        """Count what was committed before this fact and came to no life of this actor."""
        while (counted := self._tally.last_seq) is not None and counted < seq - 1:
            limit = min(FACTS_AT_ONCE, seq - 1 - counted)
            for fact in facts_after(self._reader, counted, limit=limit):
                self._count(fact)
            assert self._tally.last_seq != counted, f"fact {counted + 1} is missing"

    async def _take(self, facts: Sequence[Fact]) -> None:
        self._count_before(facts[0].seq)
        for begin in range(0, len(facts), FACTS_AT_ONCE):
            if begin:
                await trio.lowlevel.checkpoint()
            slice_ = facts[begin : begin + FACTS_AT_ONCE]
            for fact in slice_:
                self._fold(fact)
            self._feed.publish(slice_)

    def _fold(self, fact: Fact) -> None:
        if fact.kind == "server.reloaded":
            for name in from_json(fact.data)["types"]:
                self._windows.setdefault(name, _Window())
        data = self._count(fact)
        # Facts that the rebuilt windows hold already come with a number that the feed knows.
        if data is not None and fact.seq > self._feed.last_seq:
            self._windows.setdefault(data["type"], _Window()).samples.append(
                _Sample(
                    data.get("finished_at", fact.at),
                    data["status"],
                    data["waited_s"],
                    data["duration_s"],
                )
            )

    def _count(self, fact: Fact) -> dict[str, Any] | None:
        """Count a fact once. Returns the data of a run's end, None for any other fact."""
        assert self._tally.last_seq is not None
        is_new = fact.seq > self._tally.last_seq
        if is_new:
            self._tally.last_seq = fact.seq
        if fact.kind != "run.finished":
            return None
        data: dict[str, Any] = from_json(fact.data)
        if is_new:
            self._tally.add(
                data["type"],
                data["status"],
                waited_s=data["waited_s"],
                ran_s=data["duration_s"],
                finished_at=data.get("finished_at", fact.at),
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
