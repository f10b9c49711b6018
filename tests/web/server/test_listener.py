"""The HTTP server: its address, its capacity, and the order of its end."""

import socket

import pytest
import trio

from tests.web.server.conftest import GET, Serve, app_of
from web.server.listener import ABORT_AFTER_S, SPARED_S, listen, url_of


async def test_a_listener_has_a_url() -> None:
    for host, form in (("127.0.0.1", "http://127.0.0.1:{}"), ("::1", "http://[::1]:{}")):
        try:
            (listener,) = listen(host, 0)
        except OSError:
            assert host == "::1"  # a host without IPv6
            continue
        async with listener:
            assert url_of(listener) == form.format(listener.socket.getsockname()[1])


def test_an_address_in_use_is_an_error_with_advice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}: .*choose another --bind"):
            listen("127.0.0.1", port)


async def test_beyond_its_capacity_the_longest_idle_connection_is_closed(serve: Serve) -> None:
    async with serve(app_of(b"x")) as served:
        served.server._connections_max = 2
        first, second = await served.connect(), await served.connect()
        await trio.sleep(SPARED_S)
        await second.send_all(GET)
        assert (await second.receive_some()).endswith(b"x")
        third = await served.connect()
        await third.send_all(GET)
        assert (await third.receive_some()).endswith(b"x")
        assert await first.receive_some() == b""
        await second.send_all(GET)
        assert (await second.receive_some()).endswith(b"x")


async def test_a_drained_server_accepts_no_connection_and_ends_the_idle_ones(
    serve: Serve,
) -> None:
    async with serve(app_of(b"x")) as served:
        client = await served.connect()
        await client.send_all(GET)
        await client.receive_some()
        served.server.drain()
        assert await client.receive_some() == b""
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="all attempts to connect"):
            await served.connect()


async def test_a_finished_server_aborts_what_does_not_end(serve: Serve) -> None:
    async def endless(scope: object, receive: object, send: object) -> None:
        await trio.sleep_forever()

    async with serve(endless) as served:
        client = await served.connect()
        await client.send_all(GET)
        await trio.sleep(1)
        served.server.drain()
        await trio.sleep(100)
        assert len(served.server.connections) == 1
        began = trio.current_time()
        served.server.finish()
        await served.until_none_is_connected()
        assert trio.current_time() - began == pytest.approx(ABORT_AFTER_S, abs=5)
