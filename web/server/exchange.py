"""A request that is answered in the task that reads it, in place of Hypercorn's HTTPStream.

HTTPStream starts a task and opens a channel for each request, so that an application can stream and
can learn that its client has gone. That costs more than everything else that `POST /jobs` needs
(bench/PROFILE.md). A handler that waits for nothing but the disk needs neither. h11 still parses
every request and writes every answer, and Hypercorn recycles the connection.

Invariant: nothing of a connection is read while its request is being answered, so answers leave in
the order of their requests.
"""

from collections.abc import Callable
from math import inf
from typing import Any, Protocol
from urllib.parse import unquote

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.protocol.events import Body, EndBody, Event, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.trio.worker_context import WorkerContext

from web.api.guard import NO_STORE
from web.api.response import Response, refused
from web.api.router import BODY_TIMEOUT_S, TOO_SLOW, AnswerBody
from web.server.received import Received, Sender
from web.server.unsent import Unsent

AtOnce = Callable[[dict[str, Any]], AnswerBody | None]
"""Takes an ASGI scope; None: the request needs the whole of ASGI."""

PIECE_BYTES = 64 * 1024
"""Larger answers are sent in such pieces."""


def scope_of(request: h11.Request) -> dict[str, Any]:
    """The part of an ASGI scope that says what is asked."""
    path, _, query = request.target.partition(b"?")
    return {
        "type": "http",
        "method": request.method.decode("ascii"),
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "headers": list(request.headers),
    }


class ServerState(Protocol):
    """What a connection reads of the server that accepted it."""

    app: ASGIWrapper
    config: Config
    context: WorkerContext
    at_once: AtOnce | None
    draining: bool
    unsent: Unsent
    received: Received


class Peer(Sender, Protocol):
    """The connection of a request."""

    host: ServerState

    def limit(self, seconds: float) -> None:
        """Close the connection when it has read nothing for so long."""
        ...

    async def send(self, data: bytes | memoryview) -> None:
        """Send a piece of the response."""
        ...


class Exchange:
    """One request and its answer. Hypercorn hands over the body as to one of its own streams."""

    idle = False

    def __init__(self, connection: Peer, protocol: H11Protocol, answer: AnswerBody) -> None:
        self._connection = connection
        self._protocol = protocol
        self._answer = answer
        self._body = bytearray()
        connection.limit(BODY_TIMEOUT_S)

    async def handle(self, event: Event) -> None:
        """A piece of the body, or its end; there is nothing to do when the connection closes."""
        if isinstance(event, Body):
            self._body += event.data
            if len(self._body) > PIECE_BYTES:
                self._connection.host.received.note(self._connection, len(self._body))
        elif isinstance(event, EndBody):
            self._connection.limit(inf)
            self._connection.host.received.complete(self._connection)
            # What was asked is not kept while the answer waits for its client.
            body, self._body = self._body, bytearray()
            done = await self._answer(body)
            del body
            await self._respond(done)
            if self._protocol.connection.trailing_data[0]:
                # The next request is here already: others get their turn before it.
                await trio.lowlevel.checkpoint()

    async def too_slow(self) -> None:
        """Refuse: the body did not arrive in time."""
        await self._respond(refused(TOO_SLOW))

    async def _respond(self, done: Response[Any]) -> None:
        assert done.body is not None
        headers = [(b"content-length", b"%d" % len(done.body))]
        headers += [(name.encode(), value.encode()) for name, value in done.headers.items()]
        headers.append(NO_STORE)
        headers += self._connection.host.config.response_headers("h11")
        if self._connection.host.draining:
            headers.append((b"connection", b"close"))
        assert done.status is not None
        send = self._protocol.connection.send
        head = send(h11.Response(status_code=done.status, headers=headers))
        body = send(h11.Data(data=done.body))
        end = send(h11.EndOfMessage())
        if len(body) <= PIECE_BYTES:
            # One write, one packet, one wake of the client.
            await self._connection.send(head + body + end)
        else:
            # As it is: a copy would be kept for as long as the client reads.
            for part in (head, body, end):
                if part:
                    await self._connection.send(part)
        await self._protocol.stream_send(StreamClosed(STREAM_ID))
