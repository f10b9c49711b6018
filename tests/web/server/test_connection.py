"""Real sockets on loopback, on virtual time: each defect of Hypercorn's that `Connection` cures."""

from typing import Any

import pytest
import trio
import trio.testing
from hypercorn.events import RawData
from quart_trio import QuartTrio

from tests.web.server.conftest import GET, LARGE, Serve, app_of, receive, responding, to_the_app
from web.api.response import Response
from web.server.connection import IDLE_S, SEND_S
from web.server.received import Received
from web.server.unsent import Unsent


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
    async def answer(body: Any) -> Response[Any]:
        return Response(body=LARGE, status=200)

    app = app_of(LARGE)
    async with serve(app, responding(answer) if at_once else to_the_app, large=True) as served:
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
    async def answer(body: Any) -> Response[Any]:
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
    ways = {True: responding(answer), False: to_the_app}
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

    async def answer(body: Any) -> Response[Any]:
        nonlocal begun
        begun += 1
        return Response(body=LARGE, status=200)

    async with serve(counting, responding(answer) if at_once else to_the_app, large=True) as served:
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
    async def answer(body: Any) -> Response[Any]:
        return Response(body=b"x", status=200)

    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    async with serve(app_of(b"x"), responding(answer) if at_once else to_the_app) as served:
        client = await served.connect()
        await client.send_all(GET[:-2] + upgrade + b"\r\n")
        assert (await client.receive_some()).startswith(b"HTTP/1.1 200")


async def test_http2_without_asking_is_answered_in_http1(serve: Serve) -> None:
    async with serve(app_of(b"x")) as served:
        client = await served.connect()
        await client.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert (await client.receive_some()).startswith(b"HTTP/1.1 ")
