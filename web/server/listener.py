"""The HTTP server: it accepts connections, and ends in time, whatever clients do.

One connection is in `connection.py`; Hypercorn's parsing, streams and flow control are used as they
are.
"""

import socket
from functools import partial
from math import inf
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext

from web.api.capacity import connections_max
from web.server.connection import Connection
from web.server.received import Received
from web.server.request_cycle import Accept
from web.server.unsent import Unsent

BACKLOG = 1024
ABORT_AFTER_S = 2.0
"""How long connections may take to end by themselves at a shutdown."""


PROTECTION = (
    # No browser runs a log as a script, or gives another site's page the bytes of a response.
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
SPARED_S = 0.5
"""How long a connection is idle or stalled before it is closed in favour of a new one."""


class _Config(Config):
    """Hypercorn adds `response_headers` to each response, also to its own."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._headers_until = -inf

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        """The date, made once a second, and the headers that keep other sites out."""
        if (now := trio.current_time()) >= self._headers_until:
            self._headers = [*super().response_headers(protocol), *PROTECTION]
            self._headers_until = now + 1.0
        return self._headers


class Server:
    """Accepts connections until it drains, and ends when the last of them has ended."""

    def __init__(self, app: Any, accept: Accept) -> None:
        """`app`: ASGI, for the requests that `accept` leaves to it."""
        self.config: Config = _Config()
        self.config.include_server_header = False
        self.config.h11_max_incomplete_size = 64 * 1024
        self.config.read_timeout = None
        self.config.keep_alive_max_requests = 2**63
        self.app = ASGIWrapper(app)
        self.context = WorkerContext(None)
        self.accept = accept
        self.connections: set[Connection] = set()
        self._connections_max = connections_max()
        self.unsent = Unsent()
        self.received = Received()
        self.draining = False
        self._drain = trio.Event()
        self._finish = trio.Event()
        self._closed = trio.lowlevel.ParkingLot()

    async def run(
        self,
        listeners: list[trio.SocketListener],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve. Returns after `drain` and `finish`."""
        limited = [_Limited(listener, self) for listener in listeners]
        async with trio.open_nursery() as handlers:
            async with trio.open_nursery() as accepting:
                accept = partial(trio.serve_listeners, self._handle, handler_nursery=handlers)
                await accepting.start(accept, limited)
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
        """Accept no more connections; those without a request end soon."""
        self.draining = True
        for connection in self.connections:
            if connection.idle:
                connection.set_idle(True)
        self._drain.set()

    def finish(self) -> None:
        """End the requests that are still in flight."""
        self._finish.set()

    async def _all_closed(self) -> None:
        while self.connections:
            await self._closed.park()

    async def _handle(self, stream: trio.SocketStream) -> None:
        connection = Connection(self, stream)
        self.connections.add(connection)
        try:
            await connection
        finally:
            self.connections.discard(connection)
            self.received.release(connection)
            self._closed.unpark_all()

    async def capacity(self) -> None:
        """Return when one more connection leaves enough descriptors for everything else.

        The connection is closed on which the server has waited for its client for longest.
        """
        while len(self.connections) >= self._connections_max:
            slowest = max(self.connections, key=lambda connection: connection.awaited_s())
            if slowest.awaited_s() >= SPARED_S:
                slowest.abort()
            with trio.move_on_after(SPARED_S):
                await self._closed.park()


class _Limited(trio.abc.Listener[trio.SocketStream]):
    """Accepts within the server's capacity; other clients wait in the kernel's queue."""

    def __init__(self, listener: trio.SocketListener, server: Server) -> None:
        self._listener = listener
        self._server = server

    async def accept(self) -> trio.SocketStream:
        await self._server.capacity()
        return await self._listener.accept()

    async def aclose(self) -> None:
        await self._listener.aclose()


def listen(host: str, port: int) -> list[trio.SocketListener]:
    """Bind and listen. Port 0 takes a free one.

    Raises:
        OSError: the address is in use, or is not an address of this host.
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
    """The URL of a listener."""
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
