"""Where blocking calls run: one at a time, in order, and never abandoned."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from actors.runner import InlineRunner, ThreadRunner

DEADLINE_S = 10


@pytest.fixture(params=["inline", "thread"])
def runner(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "inline":
        yield InlineRunner()
    else:
        with ThreadRunner("test") as runner:
            yield runner


async def test_it_gives_back_the_result(runner: Any) -> None:
    assert await runner.run(lambda: 7) == 7


async def test_it_raises_what_the_call_raised(runner: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        await runner.run(lambda: 1 / 0)
    assert await runner.run(lambda: 7) == 7


async def test_calls_run_one_at_a_time_in_order() -> None:
    seen: list[tuple[int, int]] = []
    with ThreadRunner("test") as runner:
        async with trio.open_nursery() as nursery:
            for n in range(20):
                nursery.start_soon(runner.run, lambda n=n: seen.append((n, threading.get_ident())))
                await trio.testing.wait_all_tasks_blocked()
    assert [n for n, _ in seen] == list(range(20))
    assert len({thread for _, thread in seen} - {threading.get_ident()}) == 1


async def test_the_loop_is_free_meanwhile() -> None:
    go = threading.Event()
    with ThreadRunner("test") as runner:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.run, lambda: go.wait(DEADLINE_S))
            await trio.lowlevel.checkpoint()
            go.set()


async def test_a_call_that_has_begun_is_never_abandoned() -> None:
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> str:
        begun.set()
        go.wait(DEADLINE_S)
        done.append("work")
        return "its result"

    with ThreadRunner("test") as runner, trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                done.append(await runner.run(work))

            nursery.start_soon(wait)
            await trio.lowlevel.checkpoint()
            while not begun.is_set():
                await trio.lowlevel.checkpoint()
            scope.cancel()
            go.set()
    assert done == ["work", "its result"]


def test_leaving_it_waits_for_what_it_does() -> None:
    done: list[int] = []
    with ThreadRunner("test") as runner:
        runner._calls.put(lambda: done.append(1))
    assert done == [1]
    assert not any(thread.name == "test" for thread in threading.enumerate())
