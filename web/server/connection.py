"""One TCP connection: Hypercorn's, with the defects cured that a server of our own must not have.

What Hypercorn 0.18 does, and what is done here:
- `send_all` is shielded without end, so a client that stops reading holds the shutdown up for ever;
  here a piece has `SEND_S`, then the socket is closed.
- After a response through Quart its idle timer is never armed again; here one scope lives as long
  as the connection, and only its deadline moves.
- Every piece that is sent, also an empty one, takes a lock, a cancel scope and a checkpoint; here
  the socket is written to at once, and only what does not fit into it takes these.
- `Upgrade: h2c` becomes HTTP/2 in clear text, past every limit of HTTP/1.1; here it is ignored.
- Each request gets a task and a channel, also one that is answered at once: see `exchange.py`.
- A body that turns out shorter than its declared length ends in a traceback; here in the end of the
  connection, which the client notices, and in a line of the log.
- Requests that came together are all worked for, one after another, also when the client has gone
  after the first; 64 KiB of them could be hundreds of large pages. Here nothing more is begun.

Invariant: TLS and WebSocket go Hypercorn's way. Much of what is overridden here is not public, so
another minor version than the tests have seen gets Hypercorn's own class: see `connection_class`.
"""

import os
import socket
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from math import inf
from typing import Any

import h11
import structlog
import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.typing import ConnectionState

from web.api.guard import malformed
from web.reads import client_gone
from web.server.exchange import PIECE_BYTES, AtOnce, Exchange, ServerState, scope_of

TESTED = "0.18."
IDLE_S = 75.0
"""How long a connection may stay open without a request, or take to send the head of one."""
SEND_S = 30.0
"""How long one piece of an answer may take to be read by the client."""
ESTABLISHED = 1
"""`tcpi_state` of TCP_INFO, tcp(7)."""
BUSY_SPARED_S = 4.5
"""Where connections are short: so much longer than an idle one a client may take with a request."""
LINGER_S = 1.0
"""At shutdown: how long an open connection may still bring a request that was on its way."""

log = structlog.get_logger()


class _NoTimer:
    """Stands in for Hypercorn's idle task; `Connection` has its own scope."""

    async def restart(self, *_: Any) -> None: ...

    async def stop(self) -> None: ...


class StockConnection(TCPServer):
    """Hypercorn's own behaviour, for a version that nobody has tested `Connection` with."""

    idle = False
    """Unknown: its own timer, where it is armed, ends it when the server drains."""

    def __init__(self, host: ServerState, stream: trio.SocketStream) -> None:
        # Hypercorn names the stream of TLS only; it takes either.
        super().__init__(
            host.app,
            host.config,
            host.context,
            ConnectionState({}),
            stream,  # type: ignore[arg-type]
        )

    async def run(self) -> None:
        """Serve it. What works for it can see whether its client is still there."""
        client_gone.set(self.is_gone)
        await super().run()

    def is_gone(self) -> bool:
        """Whether the client has closed its end, also behind bytes that were not yet read."""
        sock = getattr(self.stream, "transport_stream", self.stream).socket
        try:
            return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED)
        except OSError:
            return True

    def set_idle(self, idle: bool) -> None:
        """It has no idle scope."""

    def awaited_s(self) -> float:
        """How long it has been its client's turn, as far as is known."""
        return 0.0

    def abort(self) -> None:
        """Close the socket under whatever waits on it, shielded or not."""
        getattr(self.stream, "transport_stream", self.stream).socket.close()


class Connection(StockConnection):
    """One TCP connection. `idle`: it has no request."""

    def __init__(self, host: ServerState, stream: trio.SocketStream) -> None:
        super().__init__(host, stream)
        self.idle_task = _NoTimer()  # type: ignore[assignment]
        self.idle = True
        self.host = host
        self._is_broken = False
        self._since = trio.current_time()
        self._stalled_since: float | None = None
        self._is_plain = isinstance(stream, trio.SocketStream)
        self._scope = trio.CancelScope(deadline=trio.current_time() + IDLE_S)

    async def protocol_send(self, event: Event) -> None:
        """Hypercorn hands over bytes, the end, or a change between idle and busy."""
        if isinstance(event, RawData):
            if event.data:
                await self.send(event.data)
        elif isinstance(event, Updated):
            if self._is_broken and not event.idle:
                raise trio.BrokenResourceError("nobody would read the answer to this request")
            self.set_idle(event.idle)
        elif isinstance(event, Closed):
            # Quart cancels the task that brings this: the end of the stream tells it that the
            # client has gone. The socket must be closed all the same.
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)

    def set_idle(self, idle: bool) -> None:
        """Arm or disarm the idle deadline."""
        self.idle = idle
        self._since = trio.current_time()
        if idle:
            self.host.received.let_go(self)
        self.limit((LINGER_S if self.host.draining else IDLE_S) if idle else inf)

    def awaited_s(self) -> float:
        """How long it has been its client's turn: to ask, to send a body, to read an answer.

        With a request that has begun a client gets more time.
        """
        now = trio.current_time()
        if self.idle:
            return now - self._since
        if self._stalled_since is not None:
            return now - self._stalled_since - BUSY_SPARED_S
        protocol = self.protocol.protocol
        is_body_due = (
            isinstance(protocol, H11Protocol) and protocol.connection.their_state is h11.SEND_BODY
        )
        return now - self._since - BUSY_SPARED_S if is_body_due else 0.0

    def limit(self, seconds: float) -> None:
        """Reading ends in so many seconds, unless somebody sets another limit."""
        self._scope.deadline = trio.current_time() + seconds

    def stalled_s(self) -> float:
        """How long its client has read nothing of an answer that waits."""
        since = self._stalled_since
        return 0.0 if since is None else trio.current_time() - since

    async def send(self, data: bytes | memoryview) -> None:
        """Send, and close the connection of a client that does not read."""
        if not self.send_lock.locked() and not (data := self._send_at_once(data)):
            return
        async with self.send_lock:
            # Shielded, since half an answer is worse than none; but not for ever.
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
        if not self._is_plain:
            return data
        try:
            sent = os.write(self.stream.socket.fileno(), data)
        except OSError:
            return data
        # Without a copy of what is left.
        return b"" if sent == len(data) else memoryview(data)[sent:]

    async def _read_data(self) -> None:
        protocol = self.protocol.protocol
        if isinstance(protocol, H11Protocol):
            protocol._check_protocol = _stay_http1  # type: ignore[method-assign,assignment]
            protocol._send_error_response = _refusing(protocol)  # type: ignore[method-assign,assignment]
            protocol.stream_send = _cutting(protocol)  # type: ignore[method-assign,assignment]
            if self.host.at_once is not None:
                self._exchange_at_once(protocol, self.host.at_once)
        try:
            with self._scope:
                await super()._read_data()
        except trio.BrokenResourceError:
            await self.protocol.handle(Closed())
        if self._scope.cancelled_caught:
            if isinstance(protocol.stream, Exchange):  # type: ignore[union-attr]
                await protocol.stream.too_slow()  # type: ignore[union-attr]
            await self.protocol.handle(Closed())

    def _exchange_at_once(self, protocol: H11Protocol, at_once: AtOnce) -> None:
        create_stream = protocol._create_stream

        async def create(request: h11.Request) -> None:
            if (answer := at_once(scope_of(request))) is None:
                await create_stream(request)
                self._count_body(protocol.stream)
            else:
                protocol.stream = Exchange(self, protocol, answer)  # type: ignore[assignment]

        protocol._create_stream = create  # type: ignore[method-assign]

    def _count_body(self, stream: Any) -> None:
        """As an `Exchange` counts its own."""
        handle, size_bytes = stream.handle, 0

        async def handle_counted(event: Any) -> None:
            nonlocal size_bytes
            if isinstance(event, Body):
                size_bytes += len(event.data)
                if size_bytes > PIECE_BYTES:
                    self.host.received.note(self, size_bytes)
            elif isinstance(event, EndBody):
                self.host.received.complete(self)
            await handle(event)

        stream.handle = handle_counted


def _refusing(protocol: H11Protocol) -> Callable[[int], Awaitable[None]]:
    """In place of Hypercorn's answer to what is not HTTP, which has no body."""

    async def refuse(status: int) -> None:
        headers, body = malformed(status)
        headers += protocol.config.response_headers("h11")
        await protocol._send_h11_event(h11.Response(status_code=status, headers=headers))
        await protocol._send_h11_event(h11.Data(data=body))
        await protocol._send_h11_event(h11.EndOfMessage())

    return refuse


def _cutting(protocol: H11Protocol) -> Callable[[Any], Awaitable[None]]:
    """As the protocol sends, but for an end that comes too early: a file has become shorter."""
    send = protocol.stream_send

    async def send_or_cut(event: Any) -> None:
        try:
            await send(event)
        except h11.LocalProtocolError as error:
            if not isinstance(event, EndBody):
                raise
            # What follows, the end of the stream, closes the connection.
            log.warning("answer cut short", why=str(error))

    return send_or_cut


async def _stay_http1(_: Any) -> None:
    """In place of a switch to HTTP/2 in clear text: an Upgrade is ignored (RFC 9110, 7.8)."""


def connection_class(installed: str | None = None) -> type[StockConnection]:
    """What serves a connection under this version of Hypercorn; warns when it is Hypercorn's own.

    Then a shutdown aborts, after `ABORT_AFTER_S`, what `Connection` would have closed in good
    order: idle connections whose last answer went through Quart, and readers that stall.
    """
    installed = installed or version("hypercorn")
    if installed.startswith(TESTED):
        return Connection
    log.warning(
        "untested Hypercorn: its own connections are used",
        installed=installed,
        tested=f"{TESTED}x",
        shutdown="idle and stalled connections are cut, up to 2 s after the last run has ended",
        meanwhile="they stay open for as long as their clients want, and answers take longer",
    )
    return StockConnection
