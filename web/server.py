"""HTTP on Hypercorn's protocol, with connections that end when they should.

`Connection` replaces Hypercorn 0.18's idle timer, which a response through Quart never arms again,
and its unbounded `send_all`, which a client that stops reading holds for ever. Hypercorn's parsing,
streams and flow control are used as they are.
"""

import os
import socket
from functools import partial
from math import inf
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

BACKLOG = 1024
IDLE_S = 75.0
"""How long a connection may stay open without a request, or take to send the head of one."""
SEND_S = 30.0
"""How long one piece of an answer may take to be read by the client."""
LINGER_S = 1.0
"""At shutdown: how long an open connection may still bring a request that was on its way."""
ABORT_AFTER_S = 2.0


class _NoTimer:
    """Stands in for Hypercorn's idle task; `Connection` has its own scope."""

    async def restart(self, *_: Any) -> None: ...

    async def stop(self) -> None: ...


class Connection(TCPServer):
    """One TCP connection."""

    def __init__(self, server: "Server", stream: trio.SocketStream) -> None:
        # Hypercorn names the stream of TLS only; it takes either.
        super().__init__(
            server.app,
            server.config,
            server.context,
            ConnectionState({}),
            stream,  # type: ignore[arg-type]
        )
        self.idle_task = _NoTimer()  # type: ignore[assignment]
        self._server = server
        self._idle_scope = trio.CancelScope(deadline=trio.current_time() + IDLE_S)
        self.idle = True
        self.state["connection"] = self
        self._corked: list[bytes] | None = None

    def cork(self) -> None:
        """Hold what is sent back until `uncork`: one write, one packet, one wake of the client."""
        self._corked = []

    async def uncork(self) -> None:
        """Send what was held back."""
        held, self._corked = self._corked, None
        if held:
            await self._send(b"".join(held))

    async def protocol_send(self, event: Event) -> None:
        """Hypercorn hands over bytes, the end, or a change between idle and busy."""
        if isinstance(event, RawData):
            if event.data and self._corked is not None:
                self._corked.append(event.data)
            elif event.data:
                await self._send(event.data)
        elif isinstance(event, Updated):
            self.set_idle(event.idle)
        elif isinstance(event, Closed):
            # Quart cancels the task that brings this: the end of the stream tells it that the
            # client has gone. The socket must be closed all the same.
            with trio.CancelScope(shield=True):
                await self.uncork()
                await super().protocol_send(event)

    def set_idle(self, idle: bool) -> None:
        """Arm or disarm the idle deadline."""
        self.idle = idle
        limit_s = LINGER_S if self._server.draining else IDLE_S
        self._idle_scope.deadline = trio.current_time() + limit_s if idle else inf

    def abort(self) -> None:
        """Close the socket under whatever waits on it."""
        self.stream.socket.close()

    async def _send(self, data: bytes) -> None:
        if not self.send_lock.locked() and (data := self._send_at_once(data)) == b"":
            return
        async with self.send_lock:
            # Shielded, since half an answer is worse than none; but not for ever.
            with trio.CancelScope(shield=True, deadline=trio.current_time() + SEND_S) as scope:
                try:
                    await self.stream.send_all(data)
                except (
                    trio.BrokenResourceError,
                    trio.ClosedResourceError,
                    trio.BusyResourceError,  # it is being closed at this moment
                ):
                    await self.protocol.handle(Closed())
            if scope.cancelled_caught:
                self.abort()
                await self.protocol.handle(Closed())

    def _send_at_once(self, data: bytes) -> bytes:
        """What did not fit into the socket's buffer. A bad socket is `send_all`'s to find."""
        try:
            return data[os.write(self.stream.socket.fileno(), data) :]
        except OSError:
            return data

    async def _read_data(self) -> None:
        self.protocol.protocol._check_protocol = _stay_http1  # type: ignore[method-assign,union-attr]
        with self._idle_scope:
            await super()._read_data()
        if self._idle_scope.cancelled_caught:
            await self.protocol.handle(Closed())


async def _stay_http1(_: Any) -> None:
    """In place of a switch to HTTP/2 in clear text: an Upgrade is ignored (RFC 9110, 7.8)."""


class Server:
    """Accepts connections until it is drained, and ends when the last of them has ended."""

    def __init__(self, app: Any) -> None:
        self.config = Config()
        self.config.include_server_header = False
        self.config.h11_max_incomplete_size = 64 * 1024
        self.config.read_timeout = None
        self.config.keep_alive_max_requests = 2**63
        self.app = ASGIWrapper(app)
        self.context = WorkerContext(None)
        self.connections: set[Connection] = set()
        self.draining = False
        self._drain = trio.Event()
        self._finish = trio.Event()
        self._closed = trio.Event()

    async def run(
        self,
        listeners: list[trio.SocketListener],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve; returns after `drain` and `finish`."""
        async with trio.open_nursery() as handlers:
            async with trio.open_nursery() as accepting:
                accept = partial(trio.serve_listeners, self._handle, handler_nursery=handlers)
                await accepting.start(accept, listeners)
                task_status.started()
                await self._drain.wait()
                accepting.cancel_scope.cancel()
            for listener in listeners:
                await listener.aclose()
            await self._finish.wait()
            with trio.move_on_after(ABORT_AFTER_S):
                await self._all_closed()
            for connection in list(self.connections):
                connection.abort()
            handlers.cancel_scope.cancel()

    def drain(self) -> None:
        """Accept nothing more; connections without a request end soon."""
        self.draining = True
        for connection in self.connections:
            if connection.idle:
                connection.set_idle(True)
        self._drain.set()

    def finish(self) -> None:
        """What is still asked must end now."""
        self._finish.set()

    async def _all_closed(self) -> None:
        while self.connections:
            self._closed = trio.Event()
            await self._closed.wait()

    async def _handle(self, stream: trio.SocketStream) -> None:
        connection = Connection(self, stream)
        self.connections.add(connection)
        try:
            await connection
        finally:
            self.connections.discard(connection)
            self._closed.set()


def listen(host: str, port: int) -> list[trio.SocketListener]:
    """Bind and listen. Port 0 takes a free one.

    Raises:
        OSError: the address is in use, or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = f"cannot listen on {host}:{port}: {error.strerror}; choose another --bind"
        raise OSError(error.errno, reason) from error
    return [trio.SocketListener(trio.socket.from_stdlib_socket(listening))]


def url_of(listener: trio.SocketListener) -> str:
    """Where it listens."""
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
