"""What the tests of connections share: a server of a small app on loopback, on virtual time."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from web.server.listener import Server, listen
from web.server.request_cycle import Accept, Accepted, Respond

GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = bytes(range(256)) * (1 << 17)
"""32 MiB: more than the buffers of both sockets hold."""


class Loopback:
    """A server, and clients that are closed with it."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self._port = port
        self.clients: list[trio.SocketStream] = []

    async def connect(self) -> trio.SocketStream:
        self.clients.append(await trio.open_tcp_stream("127.0.0.1", self._port))
        return self.clients[-1]

    async def until_none_is_connected(self) -> None:
        with trio.fail_after(100):
            while self.server.connections:  # noqa: ASYNC110 - no event is set
                await trio.sleep(5)


Serve = Callable[..., AbstractAsyncContextManager[Loopback]]


def to_the_app(scope: Any) -> Accepted:
    """Leave every request to the ASGI app."""
    return Accepted(inf)


def responding(respond: Respond, body_bytes_max: float = inf) -> Accept:
    """Answer every request in the task that reads it."""
    return lambda scope: Accepted(body_bytes_max, respond)


@pytest.fixture
def serve(autojump_clock: MockClock) -> Serve:
    """A server of an ASGI app on a free port."""

    @asynccontextmanager
    async def serve(
        app: Any, accept: Accept = to_the_app, *, large: bool = False
    ) -> AsyncIterator[Loopback]:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        # The kernel may pause for its 0.2 s timers while it carries megabytes between sockets.
        clock.autojump_threshold = 0.3 if large else 0.02
        server, (listener,) = Server(app, accept), listen("127.0.0.1", 0)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run, [listener])
            served = Loopback(server, listener.socket.getsockname()[1])
            try:
                yield served
                server.drain()
                server.finish()
            finally:
                with trio.CancelScope(shield=True):
                    for client in served.clients:
                        await client.aclose()

    return serve


async def receive(stream: Any, size: int) -> bytes:
    """At least so many bytes, or all until the end."""
    data = bytearray()
    while len(data) < size and (piece := await stream.receive_some()):
        data += piece
    return bytes(data)


def app_of(body: bytes) -> Any:
    """Answers everything with `body`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
