"""One TCP connection, and the cycle of each of its requests.

Every request is received here to its end, so that the deadline and the size limit of a body are in
one place. Then it is answered in this task, or an ASGI app gets it with its whole body.

Hypercorn 0.18 parses and recycles. Replaced, because a server must not depend on its clients:
- `send_all` is shielded without a limit, so a client that stops reading delays a shutdown forever;
  here a piece has `SEND_S`, then the socket is closed.
- After a response through Quart its idle timer is never armed again; here one scope lives as long
  as the connection, and only its deadline moves.
- Every piece that is sent, also an empty one, takes a lock, a cancel scope and a checkpoint; here
  the socket is written to directly, and only what does not fit into it takes these.
- `Upgrade: h2c` becomes HTTP/2 in clear text, past every limit of HTTP/1.1; here it is ignored.
- HTTPStream starts a task and opens a channel for each request, which costs more than everything
  else that `POST /jobs` needs (bench/PROFILE.md); here only a request that streams or waits does.
- A body that turns out shorter than its declared length ends in a traceback; here in the end of the
  connection, which the client notices, and in a line of the log.
- Pipelined requests are all worked for, also when the client has gone after the first; 64 KiB of
  them could be hundreds of large pages. Here no further one is started.

Invariant: nothing of a connection is read while its request is being answered, so responses leave
in the order of their requests.
"""

import os
import socket
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
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from headway.model.problem import Refusal
from web.api.response import Response, malformed, refused
from web.reads import client_gone
from web.server.received import Received
from web.server.unsent import Unsent

IDLE_S = 75.0
"""How long a connection may stay open without a request, or take to send the head of one."""
BODY_TIMEOUT_S = 30.0
"""How long the body of a request may take to arrive."""
SEND_S = 30.0
"""How long a client may take to read one piece of a response."""
PIECE_BYTES = 64 * 1024
"""Larger responses are sent in such pieces."""
ESTABLISHED = 1
"""`tcpi_state` of TCP_INFO, tcp(7)."""
BUSY_SPARED_S = 4.5
"""How much longer than an idle client one with a request keeps its connection, where they are
short."""
LINGER_S = 1.0
"""How long an open connection may still bring a request when the server drains."""

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


class Connection(TCPServer):
    """One TCP connection. `idle`: it has no request."""

    protocol: "Http"  # type: ignore[assignment]

    def __init__(self, host: ServerState, stream: trio.SocketStream) -> None:
        # Hypercorn names the stream of TLS only; it takes either.
        super().__init__(host.app, host.config, host.context, {}, stream)  # type: ignore[arg-type]
        self.idle = True
        self.host = host
        self._is_broken = False
        self._since = trio.current_time()
        self._stalled_since: float | None = None
        self._scope = trio.CancelScope(deadline=trio.current_time() + IDLE_S)

    @property
    def _socket(self) -> trio.socket.SocketType:
        return self.stream.socket  # type: ignore[no-any-return]

    async def run(self) -> None:
        """Serve it. Handlers can see by `client_gone` whether their client is still there."""
        client_gone.set(self.is_gone)
        try:
            sock = self._socket
            client = parse_socket_addr(sock.family, sock.getpeername())
            server = parse_socket_addr(sock.family, sock.getsockname())
            async with TaskGroup() as task_group:
                self.protocol = Http(self, task_group, client, server)
                await self._read_data()
        except OSError:
            pass
        finally:
            await self._close()

    def is_gone(self) -> bool:
        """Whether the client has closed its end, also behind bytes that were not yet read."""
        try:
            state = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        except OSError:
            return True
        return bool(state[0] != ESTABLISHED)

    def abort(self) -> None:
        """Close the socket under whatever waits on it, shielded or not."""
        self._socket.close()

    async def protocol_send(self, event: Event) -> None:
        """Take from Hypercorn: bytes, the end, or a change between idle and busy."""
        if isinstance(event, RawData):
            if event.data:
                await self.send(event.data)
        elif isinstance(event, Updated):
            if self._is_broken and not event.idle:
                raise trio.BrokenResourceError("no client would read the response to this request")
            self.set_idle(event.idle)
        elif isinstance(event, Closed):
            # Quart cancels the task that sends this: it learns from the end of the stream that the
            # client has gone. The socket must be closed all the same.
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)

    def set_idle(self, idle: bool) -> None:
        """Arm or disarm the idle deadline."""
        self.idle = idle
        self._since = trio.current_time()
        if idle:
            self.host.received.release(self)
        self.limit((LINGER_S if self.host.draining else IDLE_S) if idle else inf)

    def awaited_s(self) -> float:
        """How long the server has waited for the client: for a request, a body, or its reading.

        A client that has begun a request gets more time.
        """
        now = trio.current_time()
        if self.idle:
            return now - self._since
        if self._stalled_since is not None:
            return now - self._stalled_since - BUSY_SPARED_S
        is_body_due = self.protocol.connection.their_state is h11.SEND_BODY
        return now - self._since - BUSY_SPARED_S if is_body_due else 0.0

    def limit(self, seconds: float) -> None:
        """Stop reading in so many seconds, unless another limit is set."""
        self._scope.deadline = trio.current_time() + seconds

    def stalled_s(self) -> float:
        """How long its client has read nothing of a response that waits."""
        since = self._stalled_since
        return 0.0 if since is None else trio.current_time() - since

    async def send(self, data: bytes | memoryview) -> None:
        """Send, and close the connection of a client that does not read."""
        if not self.send_lock.locked() and not (data := self._send_at_once(data)):
            return
        async with self.send_lock:
            # Shielded, since half a response is worse than none; but not without a limit.
            with (
                trio.CancelScope(shield=True, deadline=trio.current_time() + SEND_S) as scope,
                self.host.unsent.hold(self, len(data)),
            ):
                try:
                    await self._send_in_pieces(memoryview(data))
                except (
                    trio.BrokenResourceError,
                    trio.ClosedResourceError,
                    trio.BusyResourceError,  # it is being closed at this moment
                ):
                    self._is_broken = True
                    await self.protocol.handle(Closed())
            self._stalled_since = None
            if scope.cancelled_caught:
                self._is_broken = True
                self.abort()
                await self.protocol.handle(Closed())

    async def _send_in_pieces(self, data: memoryview) -> None:
        """So that a client which reads, however slowly, is known from one that does not."""
        for begin in range(0, len(data), PIECE_BYTES):
            self._stalled_since = trio.current_time()
            await self.stream.send_all(data[begin : begin + PIECE_BYTES])

    def _send_at_once(self, data: bytes | memoryview) -> bytes | memoryview:
        """What did not fit into the socket's buffer. A bad socket is `send_all`'s to find."""
        try:
            sent = os.write(self._socket.fileno(), data)
        except OSError:
            return data
        # Without a copy of what is left.
        return b"" if sent == len(data) else memoryview(data)[sent:]

    async def _read_data(self) -> None:
        try:
            with self._scope:
                data = b"head"
                while data:
                    data = bytes(await self.stream.receive_some(MAX_RECV))
                    await self.protocol.handle(RawData(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        if self._scope.cancelled_caught and isinstance(self.protocol.stream, Exchange):
            await self.protocol.respond(refused(TOO_SLOW), closing=True)
        await self.protocol.handle(Closed())


class Http(H11Protocol):
    """HTTP/1.1 on a connection: one request after another."""

    def __init__(
        self, connection: Connection, task_group: TaskGroup, client: Address, server: Address
    ) -> None:
        host = connection.host
        super().__init__(
            host.app,
            host.config,
            host.context,
            task_group,
            ConnectionState({}),
            False,  # without TLS
            client,
            server,
            connection.protocol_send,
        )
        self.host = host
        self.peer = connection
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
