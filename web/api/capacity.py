"""How many connections there may be, and how many of them may be taken for long.

A process has so many descriptors. Some are kept for itself and for runs; of the connections that
the others allow, streams, downloads and requests that wait take a share, and those of one address a
smaller one. So there is always a connection for health, status, cancel and stop.
"""

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headway.model.problem import Refusal

DESCRIPTORS_KEPT = 48
"""Of the process's descriptors: 30 for itself (database, logs, clocks), the others for runs."""
CONNECTIONS_SHARE = 0.85
STREAMS_SHARE = 0.75
ADDRESS_SHARE = 0.5
"""Each of all connections."""
SHORT_KEPT = 4
"""At least so many connections are for short requests, whatever the settings say."""

PERMIT = "headway.permit"
"""Where an ASGI scope has the request's `Permit`."""


def connections_max() -> int:
    """How many connections the process's limit of descriptors (RLIMIT_NOFILE) has room for."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 1_000_000
    return max(8, min(limit - DESCRIPTORS_KEPT, int(limit * CONNECTIONS_SHARE)))


class Streams:
    """Counts what is taken for long, by the address of the client."""

    def __init__(self, most: int | None, most_per_address: int | None) -> None:
        """None: a share of the connections that there may be."""
        connections = connections_max()
        largest = connections - SHORT_KEPT
        self.most = min(most or int(connections * STREAMS_SHARE), largest)
        self.most_per_address = min(most_per_address or int(connections * ADDRESS_SHARE), self.most)
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many there are."""
        return self._taken.total()

    @contextmanager
    def permit(self, client: tuple[str, int] | None) -> Iterator["Permit"]:
        """For one request of a client, by its address; what it took is given back at its end."""
        permit = Permit(self, "" if client is None else client[0])
        try:
            yield permit
        finally:
            permit.give_back()

    def take(self, address: str) -> None:
        """One more of this address.

        Raises:
            Refusal: `rate_limited`.
        """
        if self._taken[address] >= self.most_per_address:
            raise _crowded(f"{self.most_per_address} of {address}", "max_streams_per_address")
        if self.taken >= self.most:
            raise _crowded(f"{self.most}", "max_streams")
        self._taken[address] += 1

    def give_back(self, address: str) -> None:
        """One less."""
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


class Permit:
    """What one request has taken, if it has."""

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
        """The request has ended."""
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
