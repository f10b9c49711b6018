"""What answers hold in memory while their clients do not read them: bounded for all together.

One client can ask on hundreds of connections for what is large, and read none of it. When that is
too much, the connection whose client has read nothing for longest is cut: the cost stays with the
one that caused it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

UNSENT_BYTES_MAX = 64 * 1024 * 1024


class Reader(Protocol):
    """A connection with an answer that its client does not read fast enough."""

    def stalled_s(self) -> float: ...

    def abort(self) -> None: ...


class Unsent:
    """One for a server."""

    def __init__(self, most_bytes: int = UNSENT_BYTES_MAX) -> None:
        self._most_bytes = most_bytes
        self._held: dict[Reader, int] = {}
        self.size_bytes = 0

    @contextmanager
    def hold(self, reader: Reader, size_bytes: int) -> Iterator[None]:
        """Count so many bytes until the block is left, or the connection cut."""
        self._held[reader] = size_bytes
        self.size_bytes += size_bytes
        while self.size_bytes > self._most_bytes:
            slowest = max(self._held, key=lambda each: each.stalled_s())
            self._let_go(slowest)
            slowest.abort()
        try:
            yield
        finally:
            self._let_go(reader)

    def _let_go(self, reader: Reader) -> None:
        self.size_bytes -= self._held.pop(reader, 0)
