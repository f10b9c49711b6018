"""A response that writes itself: its status, its headers, and a body or the pieces of one.

Both request paths send it through the same ASGI `send`, so that what every response needs (its
length, `Cache-Control`, `Connection: close`) is decided here and nowhere else.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog

from headway.model.problem import Refusal
from web.api.problem import internal_problem, malformed_problem, problem_of

T = TypeVar("T")

NO_STORE = (b"cache-control", b"no-store")
CLOSE = (b"connection", b"close")

log = structlog.get_logger()


@dataclass(slots=True)
class Response(Generic[T]):
    """A value to be serialised, or a body, or pieces of one; with its status and headers.

    No response is stored by caches unless its headers say how. `status` None: that of the route.
    """

    value: T | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    pieces: AsyncIterator[bytes] | None = None

    async def send(self, send: Any, *, closing: bool = False, kind: str = "http.response") -> None:
        """Write it to an ASGI `send`. `closing`: the connection ends with it.

        `kind`: the type of the ASGI messages, without `.start` and `.body`.
        """
        headers = self._wire_headers(closing)
        await send({"type": f"{kind}.start", "status": self.status, "headers": headers})
        if self.pieces is not None:
            await self._send_pieces(send, f"{kind}.body")
        await send({"type": f"{kind}.body", "body": self.body or b""})

    async def _send_pieces(self, send: Any, kind: str) -> None:
        assert self.pieces is not None
        try:
            async for piece in self.pieces:
                await send({"type": kind, "body": piece, "more_body": True})
        finally:
            if (close := getattr(self.pieces, "aclose", None)) is not None:
                await close()  # of a generator, which may stand before its end

    def _wire_headers(self, closing: bool) -> list[tuple[bytes, bytes]]:
        headers = [(name.lower().encode(), text.encode()) for name, text in self.headers.items()]
        if self.body is not None and "Content-Length" not in self.headers:
            headers.append((b"content-length", b"%d" % len(self.body)))
        if "Cache-Control" not in self.headers:
            headers.append(NO_STORE)
        if closing:
            headers.append(CLOSE)
        return headers


def refused(refusal: Refusal) -> Response[Any]:
    """The problem document of a refusal."""
    return _problem(problem_of(refusal))


def malformed(status: int) -> Response[Any]:
    """The problem document for what h11 rejects as a request: 400, 431 or 501."""
    return _problem(malformed_problem(status))


def internal_error(error: Exception) -> Response[Any]:
    """The problem document of a bug, which is logged."""
    log.error("request failed", exc_info=error)
    return _problem(internal_problem())


def _problem(problem: tuple[int, bytes, dict[str, str]]) -> Response[Any]:
    status, body, headers = problem
    return Response(status=status, body=body, headers=headers)
