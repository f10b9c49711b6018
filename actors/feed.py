"""The last facts, in memory, for whoever waits for one.

Invariant: facts appear here in the order of their numbers, each once, and only after their commit.
Whoever needs older facts reads the `events` table.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio

from storage.transaction import Fact

KEPT_FACTS = 10_000


class Subscription:
    """Wakes its owner when a fact about one Job or run appears."""

    def __init__(self) -> None:
        self._news = trio.Event()

    async def wait(self) -> None:
        """Return when there has been a fact since the last call."""
        await self._news.wait()
        self._news = trio.Event()

    def wake(self) -> None:
        """Called by the feed."""
        self._news.set()


class Feed:
    """One ring of facts; every reader has a cursor of its own."""

    def __init__(self) -> None:
        self._ring: deque[Fact] = deque(maxlen=KEPT_FACTS)
        self._lot = trio.lowlevel.ParkingLot()
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self.last_seq = 0

    def publish(self, facts: Sequence[Fact]) -> None:
        """Append facts; those that are here already are passed over."""
        for fact in facts:
            if fact.seq <= self.last_seq:
                continue
            if fact.seq > self.last_seq + 1:
                self._skip_gap()
            self.last_seq = fact.seq
            self._ring.append(fact)
            for key in (fact.job_id, fact.run_id):
                if key is not None and key in self._subscriptions:
                    for subscription in self._subscriptions[key]:
                        subscription.wake()
        self._lot.unpark_all()

    def _skip_gap(self) -> None:
        """Facts are missing: their scheduler crashed after its commit. They are in the table."""
        self._ring.clear()
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.wake()

    @contextmanager
    def subscribe(self, key: str) -> Iterator[Subscription]:
        """Hear of every fact about this Job or run, from now on."""
        subscription = Subscription()
        self._subscriptions[key].add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions[key].discard(subscription)
            if not self._subscriptions[key]:
                del self._subscriptions[key]

    async def beyond(self, seq: int) -> list[Fact] | None:
        """Wait for facts after `seq`. None: some of them are no longer here, read the table."""
        while self.last_seq <= seq:
            await self._lot.park()
        return self.after(seq)

    def after(self, seq: int, *, limit: int = KEPT_FACTS) -> list[Fact] | None:
        """The next facts after `seq`, at most `limit`. None: some of them are no longer here."""
        if not self._ring or self._ring[0].seq > seq + 1:
            return None
        # Numbers have no gap, so the new ones are the last so many of the ring.
        begin = len(self._ring) - (self.last_seq - seq)
        end = min(begin + limit, len(self._ring))
        return [self._ring[index] for index in range(begin, end)]
