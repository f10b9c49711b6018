"""What bodies hold in memory while they arrive: bounded for all together.

One client can begin large bodies on hundreds of connections, and end none of them. When that is too
much, the connection is cut that has sent nothing for longest: the cost stays with its client.
"""

from dataclasses import dataclass
from math import inf
from typing import Protocol

import trio

RECEIVED_BYTES_MAX = 128 * 1024 * 1024


class Sender(Protocol):
    """A connection on which a body arrives."""

    def abort(self) -> None: ...


@dataclass(slots=True)
class _Arriving:
    size_bytes: int = 0
    since: float = 0.0


class Received:
    """One for a server."""

    def __init__(self, most_bytes: int = RECEIVED_BYTES_MAX) -> None:
        self._most_bytes = most_bytes
        self._held: dict[Sender, _Arriving] = {}
        self.size_bytes = 0

    def note(self, sender: Sender, size_bytes: int) -> None:
        """So much of the body has come by now."""
        held = self._held.setdefault(sender, _Arriving())
        self.size_bytes += size_bytes - held.size_bytes
        held.size_bytes, held.since = size_bytes, trio.current_time()
        while self.size_bytes > self._most_bytes:
            slowest = min(self._held, key=lambda each: self._held[each].since)
            if self._held[slowest].since == inf:
                slowest = sender  # the others are whole, and being worked for
            self.let_go(slowest)
            slowest.abort()

    def complete(self, sender: Sender) -> None:
        """The body is whole: its client owes nothing more."""
        if sender in self._held:
            self._held[sender].since = inf

    def let_go(self, sender: Sender) -> None:
        """The request has ended."""
        if (held := self._held.pop(sender, None)) is not None:
            self.size_bytes -= held.size_bytes
