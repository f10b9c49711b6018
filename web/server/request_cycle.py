"""The cycle of a request on its connection: head, body, response, and the next request.

Every request is received here to its end, so that the deadline and the size limit of a body are in
one place. Then it is answered in the task that reads the connection, or an ASGI app gets it with
its whole body.

Replaced in Hypercorn 0.18, whose parsing and recycling are used as they are:
- HTTPStream starts a task and opens a channel for each request, which costs more than everything
  else that `POST /jobs` needs (bench/PROFILE.md); here only a request that streams or waits does.
- `Upgrade: h2c` becomes HTTP/2 in clear text, past every limit of HTTP/1.1; here it is ignored.
- A body that turns out shorter than its declared length ends in a traceback; here in the end of the
  connection, which the client notices, and in a line of the log.

Invariant: nothing of a connection is read while its request is being answered, so responses leave
in the order of their requests.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol
from urllib.parse import unquote

import h11
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Event
from hypercorn.protocol.events import Body, EndBody, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from headway.model.problem import Refusal
from web.api.response import Response, malformed, refused
from web.server.received import Received, Sender
from web.server.unsent import Unsent

BODY_TIMEOUT_S = 30.0
"""How long the body of a request may take to arrive."""
PIECE_BYTES = 64 * 1024
"""Larger responses are sent in such pieces."""

TOO_SLOW = Refusal("request_timeout", f"the body must arrive within {BODY_TIMEOUT_S:g} seconds")

log = structlog.get_logger()

Address = tuple[str, int] | None
Respond = Callable[[bytes | bytearray], Awaitable[Response[Any]]]
"""Responds to a request whose head is known, given its body."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request whose head is acceptable. Without `respond`, the ASGI app gets it."""

    body_bytes_max: float
    respond: Respond | None = None


Accept = Callable[[dict[str, Any]], Accepted | Response[Any]]
"""Takes an ASGI scope; a response rejects the request, and ends its connection."""


class ServerState(Protocol):
    """What a connection reads of the server that accepted it."""

    app: ASGIWrapper
    config: Config
    context: WorkerContext
    accept: Accept
    draining: bool
    unsent: Unsent
    received: Received


class Peer(Sender, Protocol):
    """The connection of a request."""

    host: ServerState

    def limit(self, seconds: float) -> None:
        """Stop reading in so many seconds, unless another limit is set."""
        ...

    async def send(self, data: bytes | memoryview) -> None:
        """Send bytes of a response."""
        ...

    async def protocol_send(self, event: Event) -> None:
        """Take an event of Hypercorn's protocol."""
        ...


class Http(H11Protocol):
    """HTTP/1.1 on a connection: one request after another."""

    def __init__(self, peer: Peer, task_group: TaskGroup, client: Address, server: Address) -> None:
        host = peer.host
        super().__init__(
            host.app,
            host.config,
            host.context,
            task_group,
            ConnectionState({}),
            False,  # without TLS
            client,
            server,
            peer.protocol_send,
        )
        self.host = host
        self.peer = peer
        self._head: Any = None
        self._is_head_request = False

    async def _check_protocol(self, event: h11.Request) -> None:
        """Ignore an Upgrade (RFC 9110, 7.8): Hypercorn would switch to HTTP/2 in clear text."""

    async def _create_stream(self, request: h11.Request) -> None:
        self._is_head_request = request.method == b"HEAD"
        scope = scope_of(request)
        accepted = self.host.accept(scope)
        if isinstance(accepted, Response):
            await self.respond(accepted, closing=True)
        elif _content_length(scope) > (most := accepted.body_bytes_max):
            await self.respond(refused(too_large(most)), closing=True)
        else:
            self.stream = Exchange(self, request, accepted)  # type: ignore[assignment]

    async def time_out(self) -> None:
        """Refuse a request whose body has not arrived in time, if there is one."""
        if isinstance(self.stream, Exchange):
            await self.respond(refused(TOO_SLOW), closing=True)

    async def respond(self, response: Response[Any], *, closing: bool = False) -> None:
        """Send a response with a body, and end the request, or with `closing` the connection."""
        await response.send(self._send_message, closing=closing or self.host.draining)
        await self.stream_send(StreamClosed(STREAM_ID))

    async def pass_on(self, request: h11.Request, body: bytearray) -> None:
        """Start the ASGI app for a request with its whole body."""
        await super()._create_stream(request)
        assert self.stream is not None
        if body:
            await self.stream.handle(Body(STREAM_ID, bytes(body)))
        await self.stream.handle(EndBody(STREAM_ID))

    async def stream_send(self, event: StreamEvent) -> None:
        """Take an event of the stream. An end that comes too early: a file has become shorter."""
        try:
            await super().stream_send(event)
        except h11.LocalProtocolError as error:
            if not isinstance(event, EndBody):
                raise
            # What follows, the end of the stream, closes the connection.
            log.warning("response cut short", why=str(error))

    async def _send_error_response(self, status_code: int) -> None:
        """Reject what h11 does not parse as a request."""
        if self.connection.our_state is h11.IDLE:
            self._is_head_request = False  # the last one's
        await malformed(status_code).send(self._send_message, closing=True)

    async def _send_message(self, message: Any) -> None:
        """ASGI's `send` for a response with a body: in one write, one packet, one wake of a client.

        A large body is sent apart: a copy would be kept for as long as the client reads.
        """
        if message["type"] == "http.response.start":
            self._head = message
            return
        headers = [*self._head["headers"], *self.config.response_headers("h11")]
        encode = self.connection.send
        head = encode(h11.Response(status_code=self._head["status"], headers=headers))
        body = b"" if self._is_head_request else encode(h11.Data(data=message["body"]))
        end = encode(h11.EndOfMessage())
        assert head is not None
        assert body is not None
        if len(body) <= PIECE_BYTES:
            await self.peer.send(head + body + (end or b""))
        else:
            for part in filter(None, (head, body, end)):
                await self.peer.send(part)


class Exchange:
    """One request while its body arrives. Hypercorn hands events to it as to one of its streams."""

    idle = False

    def __init__(self, protocol: Http, request: h11.Request, accepted: Accepted) -> None:
        self._protocol = protocol
        self._request = request
        self._accepted = accepted
        self._body = bytearray()
        protocol.peer.limit(BODY_TIMEOUT_S)

    async def handle(self, event: StreamEvent) -> None:
        """Take a piece of the body, or its end; the end of the connection needs no action."""
        peer = self._protocol.peer
        if isinstance(event, Body):
            self._body += event.data
            if len(self._body) > (most := self._accepted.body_bytes_max):
                await self._protocol.respond(refused(too_large(most)), closing=True)
            elif len(self._body) > PIECE_BYTES:
                peer.host.received.note(peer, len(self._body))
        elif isinstance(event, EndBody):
            peer.limit(inf)
            peer.host.received.complete(peer)
            # The body is not kept while the response waits for its client.
            body, self._body = self._body, bytearray()
            if self._accepted.respond is None:
                await self._protocol.pass_on(self._request, body)
                return
            response = await self._accepted.respond(body)
            del body
            await self._protocol.respond(response)
            if self._protocol.connection.trailing_data[0]:
                # The next request is here already: other tasks run before it.
                await trio.lowlevel.checkpoint()


def too_large(most_bytes: float) -> Refusal:
    """The refusal of a body that exceeds its limit."""
    return Refusal("too_large", f"send at most {most_bytes:.0f} bytes, or several requests")


def scope_of(request: h11.Request) -> dict[str, Any]:
    """The part of an ASGI scope that is in the head of a request."""
    path, _, query = request.target.partition(b"?")
    return {
        "type": "http",
        "http_version": request.http_version.decode("ascii"),
        "method": request.method.decode("ascii").upper(),
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "headers": list(request.headers),
    }


def _content_length(scope: dict[str, Any]) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0
