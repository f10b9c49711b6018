"""Real sockets on loopback, on virtual time: each defect of Hypercorn's that `Connection` cures."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
import trustme
import wsproto
from hypercorn.events import RawData
from quart_trio import QuartTrio
from trio.testing import MockClock
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request

from web.api.response import Response
from web.api.router import BODY_TIMEOUT_S
from web.server.connection import IDLE_S, SEND_S, Connection, StockConnection, connection_class
from web.server.listener import ABORT_AFTER_S, Server, listen
from web.server.received import Received
from web.server.unsent import Unsent

GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = bytes(range(256)) * (1 << 17)
"""32 MiB: more than the buffers of both sockets hold."""


class Served:
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
            while self.server.connections:  # noqa: ASYNC110 - it says so to nobody
                await trio.sleep(5)


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(autojump_clock: MockClock) -> Serve:
    """A server of an ASGI app on a free port."""

    @asynccontextmanager
    async def serve(app: Any, at_once: Any = None, *, large: bool = False) -> AsyncIterator[Served]:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        # The kernel may pause for its 0.2 s timers while it carries megabytes between sockets.
        clock.autojump_threshold = 0.3 if large else 0.02
        server, (listener,) = Server(app, at_once), listen("127.0.0.1", 0)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run, [listener])
            served = Served(server, listener.socket.getsockname()[1])
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


def at_once_of(answer: Callable[[bytes], Awaitable[Response[Any]]]) -> Any:
    return lambda scope: answer


async def test_a_client_that_stops_reading_is_cut_off(serve: Serve) -> None:
    async with serve(app_of(LARGE), large=True) as served:
        client = await served.connect()
        await client.send_all(GET)
        assert await client.receive_some(1) == b"H"
        begin = trio.current_time()
        await served.until_none_is_connected()
        assert trio.current_time() - begin == pytest.approx(SEND_S, abs=6)


@pytest.mark.parametrize("at_once", [False, True])
async def test_answers_that_wait_hold_a_bounded_memory_together(
    serve: Serve, at_once: bool
) -> None:
    async def answer(body: bytes) -> Response[Any]:
        return Response(body=LARGE, status=200)

    app = app_of(LARGE)
    async with serve(app, at_once_of(answer) if at_once else None, large=True) as served:
        served.server.unsent = Unsent(3 * len(LARGE))
        clients = []
        for _ in range(6):
            clients.append(await served.connect())
            await clients[-1].send_all(GET)
            assert await clients[-1].receive_some(1) == b"H"
            await trio.sleep(1)  # so that it is known which has read nothing for longest
        assert len(served.server.connections) == 3
        assert 2 * len(LARGE) < served.server.unsent.size_bytes <= 3 * len(LARGE)
        # Those that are left get all of it.
        for client in clients[3:]:
            assert len(await receive(client, len(LARGE))) >= len(LARGE)
        await trio.sleep(1)
        assert served.server.unsent.size_bytes == 0


@pytest.mark.parametrize("at_once", [False, True])
async def test_bodies_that_arrive_hold_a_bounded_memory_together(
    serve: Serve, at_once: bool
) -> None:
    async def answer(body: bytes) -> Response[Any]:
        return Response(body=b"%d" % len(body), status=200)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        size = 0
        while (message := await receive())["type"] == "http.request":
            size += len(message["body"])
            if not message["more_body"]:
                await app_of(b"%d" % size)(scope, receive, send)
                return

    whole = 2 << 20
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % whole
    ways = {True: at_once_of(answer), False: lambda scope: None}
    async with serve(app, ways[at_once], large=True) as served:
        served.server.received = Received(3 * whole)
        clients = []
        for _ in range(5):
            clients.append(await served.connect())
            await clients[-1].send_all(head + bytes(whole - 1))
            await trio.sleep(1)
        assert len(served.server.connections) == 3
        for client in clients[2:]:
            await client.send_all(b"x")
            assert (await client.receive_some(1000)).endswith(b"%d" % whole)
        await trio.sleep(1)
        assert served.server.received.size_bytes == 0
        with pytest.raises(trio.BrokenResourceError):
            await clients[0].send_all(bytes(1 << 20))


async def test_a_client_that_reads_slowly_is_not_the_one_to_go(serve: Serve) -> None:
    async with serve(app_of(LARGE), large=True) as served:
        served.server.unsent = Unsent(2 * len(LARGE))
        slow, stalled, late = [await served.connect() for _ in range(3)]
        for client in (slow, stalled):
            await client.send_all(GET)
            assert await client.receive_some(1) == b"H"
        for _ in range(20):
            await trio.sleep(0.4)
            await receive(slow, 1 << 20)
        await late.send_all(GET)
        assert await late.receive_some(1) == b"H"
        await trio.sleep(1)
        assert len(served.server.connections) == 2
        assert len(await receive(stalled, len(LARGE))) < len(LARGE)
        assert len(await receive(late, len(LARGE))) >= len(LARGE)


@pytest.mark.parametrize("at_once", [False, True])
async def test_nothing_more_is_begun_for_a_client_that_does_not_read(
    serve: Serve, at_once: bool
) -> None:
    begun = 0
    app = app_of(LARGE)

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        await app(scope, receive, send)

    async def answer(body: bytes) -> Response[Any]:
        nonlocal begun
        begun += 1
        return Response(body=LARGE, status=200)

    async with serve(counting, at_once_of(answer) if at_once else None, large=True) as served:
        client = await served.connect()
        await client.send_all(GET * 50)
        assert await client.receive_some(1) == b"H"
        await served.until_none_is_connected()
        assert begun == 1


async def test_an_idle_connection_ends_also_after_an_answer_through_quart(serve: Serve) -> None:
    app = QuartTrio("test", static_folder=None)

    @app.get("/x")
    async def x() -> str:
        return "x"

    async with serve(app) as served:
        client = await served.connect()
        for _ in range(2):
            await client.send_all(GET)
            data = b""
            while not data.endswith(b"\r\n\r\nx"):
                data += await client.receive_some()
        begin = trio.current_time()
        assert await client.receive_some() == b""
        assert trio.current_time() - begin == pytest.approx(IDLE_S, abs=1)


async def test_a_connection_that_asks_nothing_ends(serve: Serve) -> None:
    async with serve(app_of(b"x")) as served:
        client = await served.connect()
        await client.send_all(GET[:20])
        begin = trio.current_time()
        assert await client.receive_some() == b""
        assert trio.current_time() - begin == pytest.approx(IDLE_S, abs=1)


async def test_nothing_is_sent_for_an_empty_piece(serve: Serve) -> None:
    async with serve(app_of(b"x")) as served:
        client = await served.connect()
        await client.send_all(GET)
        await client.receive_some()
        (connection,) = served.server.connections
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold, connection.send_lock)
            await trio.testing.wait_all_tasks_blocked()
            with trio.fail_after(1):
                await connection.protocol_send(RawData(b""))
            with trio.move_on_after(1) as waited:
                await connection.protocol_send(RawData(b"x"))
            nursery.cancel_scope.cancel()
        assert waited.cancelled_caught, "a piece that is not empty takes its turn"


async def hold(lock: trio.Lock) -> None:
    async with lock:
        await trio.sleep_forever()


async def test_what_fits_into_the_socket_is_written_at_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send_all(*_: Any) -> None:
        raise AssertionError("a lock and a checkpoint for nothing")

    async with serve(app_of(b"x" * 1000)) as served:
        client = await served.connect()
        monkeypatch.setattr(trio.SocketStream, "send_all", send_all)
        assert await client.socket.send(GET) == len(GET)
        assert (await receive(client, 1000)).endswith(b"x" * 1000)


async def test_what_does_not_fit_follows_in_order(serve: Serve) -> None:
    async with serve(app_of(LARGE), large=True) as served:
        client = await served.connect()
        await client.send_all(GET)
        answer = await receive(client, len(LARGE) + 20)
        assert answer.partition(b"\r\n\r\n")[2] == LARGE[: len(answer.partition(b"\r\n\r\n")[2])]
        rest = len(LARGE) - len(answer.partition(b"\r\n\r\n")[2])
        assert (await receive(client, rest)) == LARGE[len(LARGE) - rest :]


@pytest.mark.parametrize("at_once", [False, True])
async def test_an_upgrade_to_http2_in_clear_text_is_ignored(serve: Serve, at_once: bool) -> None:
    async def answer(body: bytes) -> Response[Any]:
        return Response(body=b"x", status=200)

    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    async with serve(app_of(b"x"), at_once_of(answer) if at_once else None) as served:
        client = await served.connect()
        await client.send_all(GET[:-2] + upgrade + b"\r\n")
        assert (await client.receive_some()).startswith(b"HTTP/1.1 200")


async def test_http2_without_asking_is_answered_in_http1(serve: Serve) -> None:
    async with serve(app_of(b"x")) as served:
        client = await served.connect()
        await client.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert (await client.receive_some()).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("at_once", [False, True])
async def test_tls_goes_hypercorns_way(serve: Serve, at_once: bool) -> None:
    async def answer(body: bytes) -> Response[Any]:
        return Response(body=b"over TLS", status=200)

    authority = trustme.CA()
    of_server, of_client = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("localhost").configure_cert(of_server)
    authority.configure_trust(of_client)
    async with serve(app_of(b"over TLS"), at_once_of(answer) if at_once else None) as served:
        ours, theirs = await pair(served)
        secure = trio.SSLStream(theirs, of_client, server_hostname="localhost")
        async with trio.open_nursery() as nursery:
            wrapped: Any = trio.SSLStream(ours, of_server, server_side=True)
            nursery.start_soon(Connection(served.server, wrapped).run)
            for _ in range(2):
                await secure.send_all(GET)
                data = b""
                while not data.endswith(b"over TLS"):
                    data += await secure.receive_some()
            await theirs.aclose()


async def pair(served: Served) -> tuple[trio.SocketStream, trio.SocketStream]:
    """Both ends of a TCP connection that the server did not accept itself."""
    (listener,) = listen("127.0.0.1", 0)
    async with listener:
        client = await trio.open_tcp_stream(*listener.socket.getsockname())
        served.clients.append(client)
        return await listener.accept(), client


async def test_websockets_go_hypercorns_way(serve: Serve) -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": (await receive())["bytes"][::-1]})
        await send({"type": "websocket.close"})

    async with serve(echo) as served:
        client = await served.connect()
        protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        await client.send_all(protocol.send(Request(host="h", target="/")))
        found: list[Any] = []
        while not any(isinstance(event, CloseConnection) for event in found):
            protocol.receive_data(await client.receive_some())
            for event in protocol.events():
                found.append(event)
                if isinstance(event, AcceptConnection):
                    await client.send_all(protocol.send(BytesMessage(b"abc")))
        assert [event.data for event in found if isinstance(event, BytesMessage)] == [b"cba"]


class TestUntestedHypercorn:
    def test_only_the_tested_versions_are_overridden(self) -> None:
        assert connection_class() is Connection
        assert connection_class("0.18.9") is Connection
        assert connection_class("0.19.0") is StockConnection

    def test_another_version_is_warned_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        warned: list[dict[str, str]] = []
        log = SimpleNamespace(warning=lambda _, **more: warned.append(more))
        monkeypatch.setattr("web.server.connection.log", log)
        connection_class("0.19.0")
        assert [more["installed"] for more in warned] == ["0.19.0"]

    async def test_it_serves_and_its_shutdown_cuts_what_stays(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.server.listener.connection_class", lambda: StockConnection)
        async with serve(app_of(LARGE), large=True) as served:
            idle, stalled = await served.connect(), await served.connect()
            await idle.send_all(GET)
            await receive(idle, len(LARGE))
            await stalled.send_all(GET)
            await stalled.receive_some(1)
            served.server.drain()
            await trio.sleep(1)
            assert len(served.server.connections) == 1, "the idle one has ended"
            begin = trio.current_time()
            served.server.finish()
            await served.until_none_is_connected()
            assert trio.current_time() - begin == pytest.approx(ABORT_AFTER_S, abs=4)


class TestAtOnce:
    async def test_requests_that_come_together_are_answered_in_order(self, serve: Serve) -> None:
        seen: list[bytes] = []

        async def answer(body: bytes) -> Response[Any]:
            seen.append(body)
            await trio.sleep(1 / len(seen))
            return Response(body=body * 2, status=201, headers={"Location": "/there"})

        async with serve(None, at_once_of(answer)) as served:
            client = await served.connect()
            for body in (b"1", b"2", b"3"):
                head = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n"
                await client.send_all(head + body)
            data = b""
            while data.count(b"\r\n\r\n") < 3:
                data += await client.receive_some()
        heads = data.split(b"HTTP/1.1 ")[1:]
        assert [head.rpartition(b"\r\n\r\n")[2] for head in heads] == [b"11", b"22", b"33"]
        for head in heads:
            assert head.startswith(b"201 ")
            lines = head.lower().split(b"\r\n")
            assert {b"content-length: 2", b"location: /there"} <= set(lines)
            assert sum(line.startswith(b"date: ") for line in lines) == 1

    async def test_a_flood_of_requests_leaves_others_their_turn(self, serve: Serve) -> None:
        answered = 0

        async def answer(body: bytes) -> Response[Any]:
            nonlocal answered
            answered += 1
            return Response(body=b"x", status=200)

        async with serve(None, at_once_of(answer)) as served:
            client = await served.connect()
            await client.send_all(GET * 100)
            turns = 0
            while answered < 100:
                await trio.lowlevel.checkpoint()
                turns += 1
            assert turns > 50

    async def test_a_body_in_pieces_is_waited_for(self, serve: Serve) -> None:
        async def answer(body: bytes) -> Response[Any]:
            return Response(body=body, status=200)

        async with serve(None, at_once_of(answer)) as served:
            client = await served.connect()
            for piece in (
                b"POST /x HTTP/1.1\r\nHost: h\r\nContent-",
                b"Length: 4\r\n\r\nab",
                b"cd",
            ):
                await client.send_all(piece)
                await trio.sleep(1)
            assert (await client.receive_some()).endswith(b"\r\n\r\nabcd")

    async def test_a_body_that_does_not_come_is_refused(self, serve: Serve) -> None:
        async def answer(body: bytes) -> Response[Any]:
            raise AssertionError

        async with serve(None, at_once_of(answer)) as served:
            client = await served.connect()
            begin = trio.current_time()
            await client.send_all(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
            data = await receive(client, 1 << 20)
            assert trio.current_time() - begin == pytest.approx(BODY_TIMEOUT_S, abs=1)
        assert data.startswith(b"HTTP/1.1 408 ")
        assert b"request_timeout" in data

    async def test_an_answer_that_takes_long_has_no_deadline(self, serve: Serve) -> None:
        async def answer(body: bytes) -> Response[Any]:
            await trio.sleep(10 * IDLE_S)
            return Response(body=b"done", status=200)

        async with serve(None, at_once_of(answer)) as served:
            client = await served.connect()
            await client.send_all(GET)
            assert (await client.receive_some()).endswith(b"done")

    async def test_a_client_that_has_gone_troubles_nobody(self, serve: Serve) -> None:
        async def answer(body: bytes) -> Response[Any]:
            await trio.sleep(1)
            return Response(body=b"x" * (1 << 20), status=200)

        async with serve(None, at_once_of(answer)) as served:
            client = await served.connect()
            await client.send_all(GET)
            await trio.sleep(0.5)
            await client.aclose()
            await served.until_none_is_connected()

    async def test_a_draining_server_says_that_it_closes(self, serve: Serve) -> None:
        async def answer(body: bytes) -> Response[Any]:
            await trio.sleep(1)
            return Response(body=b"x", status=200)

        async with serve(None, at_once_of(answer)) as served:
            client = await served.connect()
            await client.send_all(GET)
            await trio.sleep(0.5)
            served.server.drain()
            assert b"\r\nconnection: close\r\n" in (await client.receive_some()).lower()
            assert await client.receive_some() == b""

    async def test_what_it_does_not_take_goes_to_the_app(self, serve: Serve) -> None:
        async with serve(app_of(b"the app"), lambda scope: None) as served:
            client = await served.connect()
            await client.send_all(GET)
            data = b""
            while not data.endswith(b"the app"):
                data += await client.receive_some()
