"""Searches whose clients have gone: real sockets, real threads, both ways to a handler."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.clock import VirtualClock
from actors.runner import InlinePool, InlineRunner, ThreadRunner
from actors.seams import Seams
from config.job_type import JobType
from config.settings import ServerSettings, Settings
from serve import Headway
from storage import job_list
from web.app import make_app
from web.context import Context
from web.server.listener import Server, listen

DEADLINE_S = 20
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
WAYS = {"at once": "", "through Quart": "Prefer: wait=1\r\n"}


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - a thread sets no event
        await trio.sleep(0.001)


class Served:
    """A server that finds `endless` only after all time."""

    def __init__(self, context: Context, server: Server, port: int) -> None:
        self.context = context
        self.server = server
        self._port = port

    async def search(self, text: str, more: str) -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self._port)
        await stream.send_all(
            f"GET /jobs?q={text} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()
        )
        return stream

    async def answer(self, text: str, more: str) -> bytes:
        async with await self.search(text, more) as stream:
            return await read_answer(stream)

    async def until_all_readers_are_busy(self) -> None:
        await until(lambda: not self.context.reads._long)


async def read_answer(stream: trio.SocketStream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (piece := await stream.receive_some()):
        data += piece
    return data


@pytest.fixture
async def serve(
    tmp_path: Path, programs: Any, silent_log: None, monkeypatch: pytest.MonkeyPatch
) -> Any:
    real = job_list.list_jobs

    def list_jobs(connection: Any, wanted: Any, **how: Any) -> Any:
        if wanted.text == "endless":
            connection.execute(ENDLESS).fetchall()
        return real(connection, wanted, **how)

    monkeypatch.setattr(job_list, "list_jobs", list_jobs)

    @asynccontextmanager
    async def serve(**server_settings: Any) -> AsyncIterator[Served]:
        settings = Settings(
            server=ServerSettings(data_dir=tmp_path, **server_settings),
            job_types={"a": JobType.model_validate({"name": "a", "command": ["a"]})},
        )
        inline = InlineRunner()
        with ExitStack() as stack, trio.fail_after(DEADLINE_S):
            readers = tuple(stack.enter_context(ThreadRunner("test")) for _ in range(3))
            seams = Seams(
                clock=VirtualClock(),
                random_bytes=random.Random(7).randbytes,
                writer=inline,
                readers=readers,
                batches=inline,
                files=InlinePool(),
                collectors=InlinePool(),
                checker=inline,
                host=programs,
                reserve_bytes=0,
            )
            async with Headway(settings, seams, {}).running() as context:
                app = make_app(context)
                server, (listener,) = Server(app, app.accept), listen("127.0.0.1", 0)
                async with trio.open_nursery() as nursery:
                    await nursery.start(server.run, [listener])
                    yield Served(context, server, listener.socket.getsockname()[1])
                    context.draining.set()
                    server.drain()
                    server.finish()

    return serve


@pytest.mark.parametrize("way", WAYS)
async def test_searches_that_were_abandoned_delay_no_other(serve: Any, way: str) -> None:
    async with serve(read_timeout_s=600) as served:
        gone = [await served.search("endless", WAYS[way]) for _ in range(6)]
        await served.until_all_readers_are_busy()
        for stream in gone:
            await stream.aclose()
        assert (await served.answer("fine", WAYS[way])).startswith(b"HTTP/1.1 200")
        await until(lambda: len(served.context.reads._long) == 2)


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_sent_after_the_search_does_not_hide_that_its_client_has_gone(
    serve: Any, way: str
) -> None:
    more = f"{WAYS[way]}\r\nGET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    async with serve(read_timeout_s=600) as served:
        gone = [await served.search("endless", more) for _ in range(3)]
        await served.until_all_readers_are_busy()
        for stream in gone:
            await stream.aclose()
        assert (await served.answer("fine", WAYS[way])).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("way", WAYS)
async def test_pages_are_read_beside_searches_that_are_waited_for(serve: Any, way: str) -> None:
    async with serve(read_timeout_s=600) as served:
        here = [await served.search("endless", WAYS[way]) for _ in range(6)]
        await served.until_all_readers_are_busy()
        assert (await served.answer("", WAYS[way])).startswith(b"HTTP/1.1 200")
        assert (await served.answer("job-0123456", WAYS[way])).startswith(b"HTTP/1.1 200")
        for stream in here:
            await stream.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_the_refusal_of_a_search_that_takes_too_long_gives_advice(
    serve: Any, way: str
) -> None:
    async with serve(read_timeout_s=0.1) as served:
        answer = await served.answer("endless", WAYS[way])
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"\r\nretry-after: " in answer.lower()


@pytest.mark.parametrize("way", WAYS)
async def test_a_search_does_not_delay_a_shutdown(serve: Any, way: str) -> None:
    async with serve(read_timeout_s=600) as served:
        asked = [await served.search("endless", WAYS[way]) for _ in range(3)]
        await served.until_all_readers_are_busy()
        served.context.draining.set()
        served.server.drain()
        for stream in asked:
            assert (await read_answer(stream)).startswith(b"HTTP/1.1 503")
            await stream.aclose()
        await until(lambda: not served.server.connections)
