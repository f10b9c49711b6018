"""The asynchronous client on trio and asyncio: the same requests, streams and errors."""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, assert_type

import anyio
import httpx
import pytest

from headway.client.client import AsyncClient, Client
from headway.client.error import ApiError, ServerUnreachable
from headway.client.log_reader import LogLine
from headway.client.session import RETRY_DELAYS_S
from headway.model.job import Job, JobStatus
from tests.headway.client.scripted import (
    END,
    REFUSED,
    RESET,
    Pieces,
    Server,
    log_event,
    problem,
    stream,
)
from tests.headway.sample import job

DEADLINE_S = 30
EVENT = b'id: 7\nevent: run.started\ndata: {"seq": 7}\n\n'

Use = Callable[[AsyncClient], Awaitable[None]]
Play = Callable[[Server, Use], None]


@pytest.fixture(params=["trio", "asyncio"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a function with a client of the server, on one of the two event loops."""

    def run(server: Server, use: Use) -> None:
        async def main() -> None:
            with anyio.fail_after(DEADLINE_S):
                async with server.async_client() as client:
                    await use(client)

        anyio.run(main, backend=request.param)

    return run


def operations_of(client: type[Any]) -> dict[str, Any]:
    found = inspect.getmembers(client, callable)
    return {name: member for name, member in found if not name.startswith("_")}


def test_both_clients_have_the_same_operations() -> None:
    blocking, awaited = operations_of(Client), operations_of(AsyncClient)
    assert blocking.keys() == awaited.keys()
    for name, operation in awaited.items():
        is_iterator = inspect.isasyncgenfunction(operation)
        assert is_iterator or inspect.iscoroutinefunction(operation), name
        returned = inspect.signature(blocking[name]).return_annotation
        assert str(returned).startswith("collections.abc.Generator") == is_iterator, name
        assert inspect.getdoc(blocking[name]) == inspect.getdoc(operation)


def test_a_request_is_sent_again_with_the_same_key(play: Play) -> None:
    server = Server(REFUSED, RESET, httpx.ReadTimeout("late"), job())

    async def use(client: AsyncClient) -> None:
        assert_type(await client.submit("story"), Job)

    play(server, use)
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert tuple(server.slept_s) == RETRY_DELAYS_S


def test_a_request_that_may_have_been_received_is_not_sent_again(play: Play) -> None:
    async def use(client: AsyncClient) -> None:
        with pytest.raises(ServerUnreachable, match="connection reset"):
            await client.delete_job("job-1")

    play(Server(RESET), use)


def test_a_rejection_is_an_error(play: Play) -> None:
    async def use(client: AsyncClient) -> None:
        with pytest.raises(ApiError, match="correct it") as caught:
            await client.get_job("job-1")
        assert (caught.value.status, caught.value.code) == (404, "not_found")

    play(Server(problem(404, "not_found")), use)


def test_pages_are_requested_as_they_are_needed(play: Play) -> None:
    first = {"jobs": [job(), job(job_id="job-2")], "next_cursor": "c1", "counts": {}}
    server = Server(first, {"jobs": [job(job_id="job-3")], "next_cursor": None, "counts": {}})

    async def use(client: AsyncClient) -> None:
        seen = []
        async for each in client.list_jobs():
            seen.append(each.job_id)
            assert len(server.requests) == (1 if len(seen) < 3 else 2)
        assert seen == ["job-1", "job-2", "job-3"]

    play(server, use)


def test_a_job_is_watched_to_its_end(play: Play) -> None:
    events = httpx.Response(200, stream=Pieces(b": hello\n\n", EVENT, EVENT))
    server = Server(events, job("QUEUED"), job("RUNNING"), job("COMPLETED"))

    async def use(client: AsyncClient) -> None:
        seen = [each.status async for each in client.watch("job-1")]
        assert seen == ["QUEUED", "RUNNING", "COMPLETED"]

    play(server, use)
    assert events.is_closed


def test_the_end_of_a_job_is_waited_for(play: Play) -> None:
    server = Server(stream(), job("RUNNING"), REFUSED, stream(EVENT), job("FAILED"))

    async def use(client: AsyncClient) -> None:
        assert (await client.wait_job("job-1")).status is JobStatus.FAILED

    play(server, use)


def test_a_log_is_followed_across_a_cut(play: Play) -> None:
    broken = stream(log_event("one ", 4), log_event("two ", 8)[:-3], breaks=True)
    server = Server(broken, problem(503, "unavailable"), stream(log_event("two", 7), END))

    async def use(client: AsyncClient) -> None:
        async with aclosing(client.follow_log("job-1")) as pieces:
            assert [piece async for piece in pieces] == [b"one ", b"two"]

    play(server, use)
    assert server.last.headers["Last-Event-ID"] == "4"


def test_a_log_comes_as_lines(play: Play) -> None:
    server = Server(job("RUNNING"), {"times": []}, httpx.Response(200, stream=Pieces(b"a\nb")))

    async def use(client: AsyncClient) -> None:
        lines = [line async for line in client.log_lines("job-1")]
        assert lines == [LogLine(at=None, line=b"a\n"), LogLine(at=None, line=b"b")]

    play(server, use)


def test_a_stream_that_is_left_early_is_closed(play: Play) -> None:
    events = stream(*[EVENT] * 3)

    async def use(client: AsyncClient) -> None:
        async with aclosing(client.events()) as stream:
            async for event in stream:
                if event.name == "run.started":
                    break
        assert events.is_closed

    play(Server(events), use)


def test_a_stream_that_is_left_at_once_is_closed(play: Play) -> None:
    events = stream(*[EVENT] * 3)

    async def use(client: AsyncClient) -> None:
        async with aclosing(client.events()) as stream:
            assert (await anext(stream)).name == "open"
        assert events.is_closed

    play(Server(events), use)
