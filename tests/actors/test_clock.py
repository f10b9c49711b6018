"""Wall-clock time, and an alarm that rings at its moment, also when the clock is set."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.clock import Alarm, SystemClock, VirtualClock

S = 1_000_000
DEADLINE_S = 10


class Desk:
    """An alarm, and the moments at which it rang (seconds from the beginning)."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.alarm = Alarm(clock)
        self.began = clock.now()
        self.rang_s: list[float] = []

    async def ring(self) -> None:
        self.rang_s.append((self.clock.now() - self.began) / S)

    def in_s(self, seconds: float) -> int:
        now: int = self.clock.now()
        return now + round(seconds * S)


@pytest.fixture
async def desk(autojump_clock: MockClock, settable_clock: Any) -> AsyncIterator[Desk]:
    desk = Desk(settable_clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.alarm.run, desk.ring)
        yield desk
        nursery.cancel_scope.cancel()


async def test_virtual_time_follows_trios(autojump_clock: MockClock) -> None:
    clock = VirtualClock(start=5 * S)
    assert clock.now() == 5 * S
    await clock.wait_until(7 * S)
    assert clock.now() == 7 * S


async def test_virtual_time_does_not_wait_for_the_past(autojump_clock: MockClock) -> None:
    clock = VirtualClock(start=5 * S)
    await clock.wait_until(4 * S)
    assert clock.now() == 5 * S


async def test_it_rings_when_due_and_once(desk: Desk) -> None:
    desk.alarm.set(desk.in_s(3))
    await trio.sleep(100)
    assert desk.rang_s == [3.0]


async def test_no_moment_no_ring(desk: Desk) -> None:
    desk.alarm.set(desk.in_s(3))
    await trio.sleep(1)
    desk.alarm.set(None)
    await trio.sleep(100)
    assert desk.rang_s == []


@pytest.mark.parametrize(("first_s", "then_s"), [(3, 5), (5, 3)])
async def test_only_the_last_moment_counts(desk: Desk, first_s: int, then_s: int) -> None:
    desk.alarm.set(desk.in_s(first_s))
    await wait_all_tasks_blocked()
    desk.alarm.set(desk.in_s(then_s))
    await trio.sleep(100)
    assert desk.rang_s == [then_s]


async def test_a_moment_that_is_past_rings_at_once(desk: Desk) -> None:
    desk.alarm.set(desk.in_s(-3))
    await wait_all_tasks_blocked()
    assert desk.rang_s == [0.0]


async def test_it_rings_again_for_the_same_moment_when_set_again(desk: Desk) -> None:
    moment = desk.in_s(1)
    desk.alarm.set(moment)
    await trio.sleep(2)
    desk.alarm.set(moment)
    await wait_all_tasks_blocked()
    assert desk.rang_s == [1.0, 2.0]


async def test_a_moment_that_is_set_while_it_rings_counts(autojump_clock: MockClock) -> None:
    desk = Desk(VirtualClock())

    async def ring() -> None:
        await desk.ring()
        if len(desk.rang_s) < 3:
            desk.alarm.set(desk.in_s(2))
        await trio.sleep(0.5)

    with trio.move_on_after(100):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.alarm.run, ring)
            desk.alarm.set(desk.in_s(1))
    assert desk.rang_s == [1.0, 3.0, 5.0]


async def test_a_clock_that_is_set_forward_brings_the_moment_nearer(desk: Desk) -> None:
    desk.alarm.set(desk.in_s(3600))
    await trio.sleep(1)
    desk.clock.set_by_s(3500)
    await trio.sleep(98)
    assert desk.rang_s == []
    await trio.sleep(2)
    assert desk.rang_s == [3600.0]


async def test_a_clock_that_is_set_past_the_moment_rings_at_once(desk: Desk) -> None:
    desk.alarm.set(desk.in_s(3600))
    await trio.sleep(1)
    desk.clock.set_by_s(9000)
    await wait_all_tasks_blocked()
    assert desk.rang_s == [9001.0]


async def test_a_clock_that_is_set_back_puts_the_moment_off(desk: Desk) -> None:
    desk.alarm.set(desk.in_s(10))
    await trio.sleep(9)
    desk.clock.set_by_s(-100)
    await trio.sleep(50)
    assert desk.rang_s == []
    await trio.sleep(60)
    assert desk.rang_s == [10.0]


# ---- the host's clock --------------------------------------------------------------------------


@pytest.fixture
def system_clock() -> Iterator[SystemClock]:
    clock = SystemClock()
    yield clock
    clock.close()


def test_the_system_clock_counts_microseconds_since_1970(system_clock: SystemClock) -> None:
    before = time.time_ns() // 1000
    assert before <= system_clock.now() <= time.time_ns() // 1000


async def test_the_system_clock_waits_until_the_moment(system_clock: SystemClock) -> None:
    with trio.fail_after(DEADLINE_S):
        moment = system_clock.now() + 10_000
        await system_clock.wait_until(moment)
    assert system_clock.now() >= moment


@pytest.mark.parametrize("moment", [-5, 0, 1])
async def test_the_system_clock_does_not_wait_for_the_past(
    system_clock: SystemClock, moment: int
) -> None:
    with trio.fail_after(DEADLINE_S):
        await system_clock.wait_until(moment)


async def test_a_wait_that_was_given_up_does_not_ring_into_the_next(
    system_clock: SystemClock,
) -> None:
    with trio.fail_after(DEADLINE_S):
        with trio.CancelScope() as scope:
            scope.cancel()
            await system_clock.wait_until(system_clock.now())  # has expired, and nothing reads it
        moment = system_clock.now() + 5_000
        await system_clock.wait_until(moment)
        assert system_clock.now() >= moment


def set_the_hosts_clock() -> None:
    """To the time that it shows, so that nothing else on the host is disturbed."""
    try:
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns())
    except PermissionError:
        pytest.skip("this user may not set the clock")


async def test_setting_the_hosts_clock_ends_a_wait_early(system_clock: SystemClock) -> None:
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system_clock.wait_until, system_clock.now() + 1000 * S)
            await wait_all_tasks_blocked()
            set_the_hosts_clock()


async def test_setting_the_hosts_clock_between_two_waits_is_no_error(
    system_clock: SystemClock,
) -> None:
    with trio.fail_after(DEADLINE_S):
        with trio.move_on_after(0):
            await system_clock.wait_until(system_clock.now() + 1000 * S)
        set_the_hosts_clock()
        await system_clock.wait_until(system_clock.now() + 1000 * S)
        moment = system_clock.now() + 5_000
        while system_clock.now() < moment:
            await system_clock.wait_until(moment)


def test_closing_it_twice_closes_no_other_file(tmp_path: Path) -> None:
    clock = SystemClock()
    clock.close()
    with (tmp_path / "file").open(
        "wb", buffering=0
    ) as file:  # takes the lowest number: the clock's
        clock.close()
        assert file.write(b"still open") == 10
