"""Quart's path: a task for each request, which ends when its client goes away."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
import trio
from trio.testing import MockClock

from web.api.quart_app import QuartApp
from web.api.response import Response
from web.api.router import Router
from web.api.routes import Body, Routes


class Exchanged:
    """One request to the app: what it receives, and what it sends."""

    def __init__(self, method: str, path: str, *pieces: bytes) -> None:
        self.gone = trio.Event()
        self.sent: list[Any] = []
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"test"), (b"content-type", b"application/json")],
            "extensions": {},
        }
        self._messages = [
            {"type": "http.request", "body": piece, "more_body": bool(piece)}
            for piece in (*pieces, b"")
        ]

    async def receive(self) -> Any:
        if self._messages:
            return self._messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


class Endless:
    """Pieces of a response until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = False

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await trio.sleep(1)
        except trio.Cancelled:
            self.cancelled = True
            raise


@pytest.fixture
def endless() -> Endless:
    return Endless()


@pytest.fixture
def draining() -> list[bool]:
    """Whether the server drains; empty: it does not."""
    return []


@pytest.fixture
def app(endless: Endless, draining: list[bool]) -> QuartApp:
    routes = Routes()
    common: dict[str, Any] = {"tag": "test", "summary": "for the test"}

    @routes.add("GET", "/stream", media=("text/plain",), **common)
    async def stream() -> Response[None]:
        return Response(pieces=endless.pieces(), headers={"Content-Type": "text/plain"})

    @routes.add("POST", "/sum", waits=True, **common)
    async def add(body: Annotated[list[int], Body()]) -> int:
        await trio.sleep(1_000)  # longer than any time limit of Quart's
        return sum(body)

    return QuartApp(Router(routes), lambda: bool(draining))


async def exchange(app: Any, exchanged: Exchanged) -> None:
    await app(exchanged.scope, exchanged.receive, exchanged.send)


async def test_a_handler_gets_the_whole_body_and_may_wait(
    app: QuartApp, autojump_clock: MockClock
) -> None:
    exchanged = Exchanged("POST", "/sum", b"[1,", b"2]")
    await exchange(app, exchanged)
    start, body = exchanged.sent
    assert (start["status"], body["body"]) == (200, b"3")


async def test_a_handler_is_cancelled_when_its_client_goes(
    app: QuartApp, autojump_clock: MockClock
) -> None:
    exchanged = Exchanged("POST", "/sum", b"[1]")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange, app, exchanged)
        await trio.sleep(1)
        exchanged.gone.set()
    assert trio.current_time() < 1_000
    assert exchanged.sent == []


async def test_a_stream_ends_when_its_client_goes(
    app: QuartApp, endless: Endless, autojump_clock: MockClock
) -> None:
    exchanged = Exchanged("GET", "/stream")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange, app, exchanged)
        await trio.sleep(300.5)  # longer than any time limit of Quart's
        exchanged.gone.set()
    assert len(exchanged.sent) == 302
    assert endless.cancelled


async def test_its_responses_close_the_connection_of_a_draining_server(
    app: QuartApp, draining: list[bool]
) -> None:
    for closes in (False, True):
        exchanged = Exchanged("GET", "/nowhere")
        await exchange(app, exchanged)
        assert exchanged.sent[0]["status"] == 404
        assert ((b"connection", b"close") in exchanged.sent[0]["headers"]) == closes
        draining.append(True)
