"""A limit on the memory of all responses together, while their clients do not read them.

One client can request large responses on hundreds of connections, and read none of them. Over the
limit, the connection is closed whose client has read nothing for longest: it bears the cost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

UNSENT_BYTES_MAX = 64 * 1024 * 1024


class ResponseReader(Protocol):
    """A connection with a response that its client does not read fast enough."""

    def stalled_s(self) -> float: ...

    def abort(self) -> None: ...


class Unsent:
    """The responses that wait on the connections of a server."""

    def __init__(self, most_bytes: int = UNSENT_BYTES_MAX) -> None:
        self._most_bytes = most_bytes
        self._held: dict[ResponseReader, int] = {}
        self.size_bytes = 0

    @contextmanager
    def hold(self, reader: ResponseReader, size_bytes: int) -> Iterator[None]:
        """Count so many bytes until the block is left, or the connection is closed."""
        self._held[reader] = size_bytes
        self.size_bytes += size_bytes
        while self.size_bytes > self._most_bytes:
            slowest = max(self._held, key=lambda each: each.stalled_s())
            self._release(slowest)
            slowest.abort()
        try:
            yield
        finally:
            self._release(reader)

    def _release(self, reader: ResponseReader) -> None:
        self.size_bytes -= self._held.pop(reader, 0)
