"""A limit on the memory of all bodies together, while they arrive.

One client can begin large bodies on hundreds of connections, and end none of them. Over the limit,
the connection is closed that has sent nothing for longest: its client bears the cost.
"""

from dataclasses import dataclass
from math import inf
from typing import Protocol

import trio

RECEIVED_BYTES_MAX = 128 * 1024 * 1024


class Sender(Protocol):
    """A connection that receives a body."""

    def abort(self) -> None: ...


@dataclass(slots=True)
class _Arriving:
    size_bytes: int = 0
    since: float = 0.0


class Received:
    """The bodies that arrive on the connections of a server."""

    def __init__(self, most_bytes: int = RECEIVED_BYTES_MAX) -> None:
        self._most_bytes = most_bytes
        self._held: dict[Sender, _Arriving] = {}
        self.size_bytes = 0

    def note(self, sender: Sender, size_bytes: int) -> None:
        """Record that so much of the body has arrived."""
        held = self._held.setdefault(sender, _Arriving())
        self.size_bytes += size_bytes - held.size_bytes
        held.size_bytes, held.since = size_bytes, trio.current_time()
        while self.size_bytes > self._most_bytes:
            slowest = min(self._held, key=lambda each: self._held[each].since)
            if self._held[slowest].since == inf:
                slowest = sender  # the others are whole, and are being handled
            self.release(slowest)
            slowest.abort()

    def complete(self, sender: Sender) -> None:
        """Record that the body is whole: it is not closed for being slow any more."""
        if sender in self._held:
            self._held[sender].since = inf

    def release(self, sender: Sender) -> None:
        """Count the body no longer, since its request has ended."""
        if (held := self._held.pop(sender, None)) is not None:
            self.size_bytes -= held.size_bytes
