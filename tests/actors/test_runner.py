"""Where blocking calls run: in order and never abandoned, or several at once and given up."""

import gc
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trio

from actors import runner as runners
from actors.runner import InlinePool, InlineRunner, StopFlag, Stopped, ThreadPool, ThreadRunner

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


class Large:
    """What a call has in its hands."""


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Without the search for cycles, which comes late."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_of_a_call_is_kept_after_it(no_collection: None, fails: bool) -> None:
    def work(large: Large) -> None:
        if fails:
            raise ValueError(large)

    with ThreadRunner("test") as runner, ThreadPool("test", 1) as pool:
        runs: tuple[Callable[[Large], Awaitable[None]], ...] = (
            lambda large: runner.run(partial(work, large)),
            lambda large: pool.run(lambda _: work(large)),
        )
        for run in runs:
            large = Large()
            seen = weakref.ref(large)
            with suppress(ValueError):
                await run(large)
            del large
            with trio.fail_after(DEADLINE_S):
                while seen() is not None:  # noqa: ASYNC110 - the thread lets go of it in a moment
                    await trio.sleep(0.001)


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


# ---- pools -------------------------------------------------------------------------------------


@pytest.fixture(params=["inline", "threads"])
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "inline":
        yield InlinePool()
    else:
        with ThreadPool("test", 2) as pool:
            yield pool


async def test_a_pool_gives_back_the_result_or_the_error(pool: Any) -> None:
    assert await pool.run(lambda _: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda _: 1 / 0)
    assert await pool.run(lambda _: 7) == 7


async def test_as_many_calls_run_at_once_as_there_are_threads() -> None:
    meet = threading.Barrier(3)
    with ThreadPool("test", 2) as pool, trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(pool.run, lambda _: meet.wait(DEADLINE_S))
            await trio.lowlevel.checkpoint()
            await trio.to_thread.run_sync(meet.wait, DEADLINE_S)


async def test_a_call_that_is_given_up_is_not_waited_for_and_stops() -> None:
    begun, stopped = threading.Event(), threading.Event()

    def work(stop: StopFlag) -> None:
        begun.set()
        try:
            while True:
                stop.check()
        except Stopped:
            stopped.set()
            raise

    with ThreadPool("test", 1) as pool, trio.fail_after(DEADLINE_S):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pool.run, work)
                while not begun.is_set():
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        assert scope.cancelled_caught
        assert await pool.run(lambda _: stopped.is_set()), "its thread does the next call"


async def test_a_call_that_is_given_up_before_its_turn_is_not_begun() -> None:
    go, begun = threading.Event(), False

    def work(_: StopFlag) -> None:
        nonlocal begun
        begun = True

    with ThreadPool("test", 1) as pool, trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.run, lambda _: go.wait(DEADLINE_S))
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0):
                await pool.run(work)
            go.set()
        assert await pool.run(lambda _: 7) == 7
    assert not begun


async def test_a_call_that_never_ends_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runners, "JOIN_S", 0.01)
    go = threading.Event()
    with ThreadPool("test", 1) as pool, trio.move_on_after(0.01):
        await pool.run(lambda _: go.wait(DEADLINE_S))
    go.set()
