"""Limits on connections, and on those that streams, downloads and waits hold for long.

The number of a process's descriptors is limited. Some are kept for the server itself and for runs;
of the connections that the others allow, long requests may hold a share, and those of one address a
smaller one. So a connection is always left for health, status, cancel and stop.
"""

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headway.model.problem import Refusal

DESCRIPTORS_KEPT = 48
"""Descriptors that are no connections: 30 for the server (database, logs, clocks), 18 for runs."""
CONNECTIONS_SHARE = 0.85
STREAMS_SHARE = 0.75
ADDRESS_SHARE = 0.5
"""Shares of all connections."""
SHORT_KEPT = 4
"""At least so many connections are left for short requests, whatever the settings are."""

PERMIT = "headway.permit"
"""The key of the request's `Permit` in an ASGI scope."""


def connections_max() -> int:
    """How many connections the process's limit of descriptors (RLIMIT_NOFILE) allows."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 1_000_000
    return max(8, min(limit - DESCRIPTORS_KEPT, int(limit * CONNECTIONS_SHARE)))


class Streams:
    """Counts the connections that are held for long, by the address of the client."""

    def __init__(self, most: int | None, most_per_address: int | None) -> None:
        """`most`, `most_per_address`: None is a share of the connections that are allowed."""
        connections = connections_max()
        largest = connections - SHORT_KEPT
        self.most = min(most or int(connections * STREAMS_SHARE), largest)
        self.most_per_address = min(most_per_address or int(connections * ADDRESS_SHARE), self.most)
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are open."""
        return self._taken.total()

    @contextmanager
    def permit(self, client: tuple[str, int] | None) -> Iterator["Permit"]:
        """A permit for one request, which is given back when the block is left."""
        permit = Permit(self, "" if client is None else client[0])
        try:
            yield permit
        finally:
            permit.give_back()

    def take(self, address: str) -> None:
        """Count one more for this address.

        Raises:
            Refusal: `rate_limited`.
        """
        if self._taken[address] >= self.most_per_address:
            raise _crowded(f"{self.most_per_address} of {address}", "max_streams_per_address")
        if self.taken >= self.most:
            raise _crowded(f"{self.most}", "max_streams")
        self._taken[address] += 1

    def give_back(self, address: str) -> None:
        """Count one less."""
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


class Permit:
    """The right of one request to hold its connection for long."""

    __slots__ = ("_address", "_is_taken", "_streams")

    def __init__(self, streams: Streams, address: str) -> None:
        self._streams = streams
        self._address = address
        self._is_taken = False

    def take(self) -> None:
        """Count the request as a stream from now on: see `Streams.take`."""
        if not self._is_taken:
            self._streams.take(self._address)
            self._is_taken = True

    def give_back(self) -> None:
        """Count the request no longer."""
        if self._is_taken:
            self._streams.give_back(self._address)


def take_stream(scope: Any) -> None:
    """Count the request of this ASGI scope as a stream, until it ends: see `Streams.take`."""
    if (permit := scope.get(PERMIT)) is not None:
        permit.take()


def _crowded(how_many: str, setting: str) -> Refusal:
    return Refusal(
        "rate_limited",
        f"{how_many} streams, downloads and waits are open, as many as [server] {setting} allows:"
        " close one, ask without waiting, or raise the limit (and that of open files)",
    )
