"""Long reads on real threads: stopped when no client waits for them, and never ahead of others."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import Any

import apsw
import pytest
import trio

from actors.runner import ThreadRunner
from headway.model.problem import Refusal
from web.reads import WAITING_MAX, Reader, Reads, client_gone

DEADLINE_S = 20
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n %s) SELECT count(*) FROM n"
ENDLESS, SECONDS = COUNT % "", COUNT % "LIMIT 20000000"


def endless(connection: apsw.Connection) -> Any:
    return connection.execute(ENDLESS).get


def page(connection: apsw.Connection) -> Any:
    return connection.execute("SELECT 7").get


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - a thread sets no event
        await trio.sleep(0.001)


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Reads]]:
    with ExitStack() as stack, trio.fail_after(DEADLINE_S):

        def made(timeout_s: float = DEADLINE_S) -> Reads:
            readers = []
            for _ in range(3):
                connection = apsw.Connection(":memory:")
                stack.callback(connection.close)
                readers.append(Reader(connection, stack.enter_context(ThreadRunner("test"))))
            quick, *long = readers
            return Reads(quick, long, timeout_s=timeout_s, draining=trio.Event())

        yield made


async def refusal(reads: Reads, read: Any = endless, **how: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await reads.read(read, **how)
    return str(caught.value.code)


async def test_a_page_is_read(make: Any) -> None:
    assert await make().read(page) == 7
    assert await make().read(page, is_long=True) == 7


async def test_what_a_read_refuses_is_refused_as_it_is(make: Any) -> None:
    def refuse(_: apsw.Connection) -> None:
        raise Refusal("invalid", "the cursor")

    for is_long in (False, True):
        assert await refusal(make(), refuse, is_long=is_long) == "invalid"


async def test_a_read_ends_when_its_caller_is_cancelled(make: Any) -> None:
    reads = make()
    for is_long in (False, True, True, True):
        with trio.move_on_after(0.1) as scope:
            await reads.read(endless, is_long=is_long)
        assert scope.cancelled_caught
    assert await reads.read(page, is_long=True) == 7


async def test_a_read_that_is_between_two_statements_ends_as_well(make: Any) -> None:
    reads = make()
    begun, go = threading.Event(), threading.Event()
    ended: list[Any] = []

    def read(connection: apsw.Connection) -> None:
        begun.set()
        go.wait(DEADLINE_S)
        ended.append(connection.execute(SECONDS).get)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reads.quick.run, read)
        await until(begun.is_set)
        nursery.cancel_scope.cancel()
        go.set()  # `stop` has been called, and there was no statement to interrupt
    assert ended == []
    assert await reads.read(page) == 7


async def test_a_page_never_waits_behind_long_reads(make: Any) -> None:
    reads = make()
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(reads.read, endless)
        await until(lambda: not reads._long)
        assert await reads.read(page) == 7
        nursery.cancel_scope.cancel()


async def test_those_whose_callers_have_gone_leave_the_queue(make: Any) -> None:
    reads = make()
    async with trio.open_nursery() as nursery:
        for _ in range(2 + WAITING_MAX):
            nursery.start_soon(lambda: reads.read(endless, is_long=True))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await reads.read(page, is_long=True) == 7


async def test_no_more_wait_than_could_have_their_turn(make: Any) -> None:
    reads = make()
    async with trio.open_nursery() as nursery:
        for _ in range(2 + WAITING_MAX):
            nursery.start_soon(lambda: reads.read(endless, is_long=True))
        await trio.testing.wait_all_tasks_blocked()
        assert await refusal(reads, page, is_long=True) == "unavailable"
        assert await reads.read(page) == 7
        nursery.cancel_scope.cancel()


async def test_a_long_read_has_a_deadline_and_its_refusal_gives_advice(make: Any) -> None:
    reads = make(timeout_s=0.1)
    with pytest.raises(Refusal, match=r"read_timeout_s.*narrow it") as caught:
        await reads.read(endless)
    assert caught.value.code == "unavailable"
    assert await reads.read(page, is_long=True) == 7


async def test_a_long_read_ends_when_the_server_drains(make: Any) -> None:
    reads = make()
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            assert await refusal(reads) == "shutting_down"

        for _ in range(5):
            nursery.start_soon(ask)
        await until(lambda: not reads._long)
        reads._draining.set()


async def test_a_long_read_ends_when_its_client_has_gone(make: Any) -> None:
    reads = make()
    token = client_gone.set(lambda: True)
    try:
        assert await refusal(reads) == "unavailable"
    finally:
        client_gone.reset(token)
    assert await reads.read(page, is_long=True) == 7
