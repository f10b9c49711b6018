"""One TCP connection: its socket, its deadlines, and what it sends.

Its requests are in `request_cycle.py`. Replaced in Hypercorn 0.18, because a server must not depend
on its clients:
- `send_all` is shielded without a limit, so a client that stops reading delays a shutdown forever;
  here a piece has `SEND_S`, then the socket is closed.
- After a response through Quart its idle timer is never armed again; here one scope lives as long
  as the connection, and only its deadline moves.
- Every piece that is sent, also an empty one, takes a lock, a cancel scope and a checkpoint; here
  the socket is written to directly, and only what does not fit into it takes these.
- Pipelined requests are all worked for, also when the client has gone after the first; 64 KiB of
  them could be hundreds of large pages. Here no further one is started.
"""

import os
import socket
from math import inf

import h11
import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.utils import parse_socket_addr

from web.reads import client_gone
from web.server.request_cycle import PIECE_BYTES, Http, ServerState

IDLE_S = 75.0
"""How long a connection may stay open without a request, or take to send the head of one."""
SEND_S = 30.0
"""How long a client may take to read one piece of a response."""
ESTABLISHED = 1
"""`tcpi_state` of TCP_INFO, tcp(7)."""
BUSY_SPARED_S = 4.5
"""How much longer than an idle client one with a request keeps its connection, where they are
short."""
LINGER_S = 1.0
"""How long an open connection may still bring a request when the server drains."""


class Connection(TCPServer):
    """One TCP connection. `idle`: it has no request."""

    protocol: Http  # type: ignore[assignment]

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
        if self._scope.cancelled_caught:
            await self.protocol.time_out()
        await self.protocol.handle(Closed())
