"""Requests are answered before long work, which waits for a limited time."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from web.api.request_priority import RequestPriority


async def test_without_requests_it_is_a_checkpoint(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    with trio.CancelScope() as scope:
        scope.cancel()
        await RequestPriority().give_way(trio.current_time() + 10)
    assert scope.cancelled_caught
    assert trio.current_time() == began


async def test_it_lasts_until_the_last_request_is_answered(autojump_clock: MockClock) -> None:
    request_priority, went_on = RequestPriority(), trio.Event()

    async def later() -> None:
        await request_priority.give_way(trio.current_time() + 10)
        went_on.set()

    async with trio.open_nursery() as nursery:
        with request_priority:
            with request_priority:
                nursery.start_soon(later)
                await trio.sleep(1)
            await trio.sleep(1)
            assert not went_on.is_set()
        await wait_all_tasks_blocked()
        assert went_on.is_set()


async def test_it_ends_at_its_time_limit(autojump_clock: MockClock) -> None:
    request_priority = RequestPriority()
    began = trio.current_time()
    with request_priority:
        await request_priority.give_way(began + 10)
    assert trio.current_time() == pytest.approx(began + 10)
