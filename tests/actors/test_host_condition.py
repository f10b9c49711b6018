"""A host that lets nothing start: Jobs wait for it, none fails, and all goes on by itself."""

from typing import Any

import apsw
import pytest
import trio

from actors import messages as m
from actors.explain import Rules, explain
from actors.scheduler import HOST_RETRY_S
from storage.job import JobStatus, from_us
from tests.actors.test_free_space import Disk

FULL = Disk(f_bavail=0)


class Space:
    """How much is free, as a test wants it; counts who looks."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.looks = 0

    def statvfs(self, _: Any) -> Disk:
        self.looks += 1
        return self.disk


@pytest.fixture
def space(house: Any) -> Space:
    space = Space()
    house.statvfs = space.statvfs
    return space


def events(house: Any) -> list[Any]:
    """What streams are told that has no number."""
    found = house.services.feed.live_after(0, house.services.feed.last_seq)
    return [live.data["host_condition"] for live in found if live.kind == "scheduler.host"]


def told(house: Any, job: Any) -> Any:
    services = house.services
    rules = Rules(
        types=services.job_types,
        concurrency=1,
        draining=False,
        host_reason=services.core.host_reason,
        waiting=services.core.waiting,
    )
    clock = services.clock
    return explain(house.reader, job.job_id, rules, clock.now(), clock.boot_us())


# ---- space that is kept free -------------------------------------------------------------------


async def test_too_little_space_starts_nothing_and_fails_nothing(house: Any, space: Space) -> None:
    space.disk = FULL
    async with house.running() as services:
        jobs = await house.submit("a", "b", "a")
        await trio.sleep(100)
        assert house.host.launches == []
        assert {house.job(job).status for job in jobs} == {JobStatus.QUEUED}
        condition = services.feed.host_condition
        assert "less than 64 MiB are free" in condition.reason
        assert condition.since == from_us(services.started_at)
        assert events(house) == [condition.model_dump()]
        assert [reason.code for reason in told(house, jobs[0]).waiting] == ["host"]
        assert condition.reason in told(house, jobs[0]).message
        space.disk = Disk()
        await trio.sleep(HOST_RETRY_S)  # nobody asks for anything
        for job in jobs:
            assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert services.feed.host_condition is None
        assert events(house) == [None]
        assert house.broken() == []


async def test_what_runs_goes_on_where_nothing_starts(
    house: Any, program: Any, space: Space
) -> None:
    house.host.programs["a"] = program(lasts_s=50)
    house.concurrency = 2
    async with house.running() as services:
        (first,) = await house.submit("a")
        await trio.sleep(1)
        space.disk = FULL
        (second,) = await house.submit("a")
        await trio.sleep(100)
        assert house.job(first).status is JobStatus.COMPLETED
        assert house.job(second).status is JobStatus.QUEUED
        cancelled = await services.ask(m.CancelJob(job_id=second.job_id))
        assert cancelled.status is JobStatus.CANCELLED
        space.disk = Disk()
        await trio.sleep(2 * HOST_RETRY_S)
        assert services.feed.host_condition is None


async def test_a_clock_that_is_set_delays_no_look(house: Any, space: Space) -> None:
    space.disk = FULL
    async with house.running():
        (job,) = await house.submit("a")
        await trio.sleep(10)
        house.clock.set_by_s(-10 * 86_400)
        space.disk = Disk()
        await trio.sleep(HOST_RETRY_S)
        assert (await house.ended(job, timeout_s=10)).status is JobStatus.COMPLETED


async def test_who_waits_for_nothing_looks_at_nothing(house: Any, space: Space) -> None:
    async with house.running():
        (job,) = await house.submit("a")
        await house.ended(job)
        await trio.sleep(1)
        before = space.looks
        await trio.sleep(1000)
        assert space.looks == before
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline > 1000


async def test_a_life_that_begins_finds_out_by_itself(house: Any, space: Space) -> None:
    space.disk = FULL
    async with house.running() as services:
        (job,) = await house.submit("a")
        await trio.sleep(3)
        before = services.feed.host_condition
        await services.scheduler.tell(m.GetMetrics())  # a bug: the scheduler starts anew
        await trio.sleep(3)
        assert services.feed.host_condition.reason == before.reason
        space.disk = Disk()
        assert (await house.ended(job, timeout_s=10)).status is JobStatus.COMPLETED
        assert services.feed.host_condition is None


# ---- a full disk under the database ------------------------------------------------------------


async def test_a_full_disk_is_shown_the_same_way(house: Any, program: Any, disk: Any) -> None:
    house.vfs = disk.name
    house.host.programs["a"] = program(lasts_s=5)
    async with house.running() as services:
        (job,) = await house.submit("a")
        await trio.sleep(1)
        assert services.feed.host_condition is None
        disk.error = apsw.FullError
        await trio.sleep(10)
        assert "is full" in services.feed.host_condition.reason
        disk.error = None
        await trio.sleep(2 * HOST_RETRY_S)
        assert services.feed.host_condition is None
        assert house.job(job).status is JobStatus.COMPLETED


# ---- runs that cannot begin --------------------------------------------------------------------


def test_while_runs_wait_for_the_host_nothing_is_claimed(desk: Any) -> None:
    desk.core = desk.make_core()
    desk.decide(m.StartsBlocked(reason="no more processes", run_ids=frozenset({"run-x"})))
    desk.submit("a", "a")
    desk.direct()
    assert desk.running() == []
    assert desk.core.host_reason == "no more processes"
    assert desk.core.waiting == {"run-x"}
    decision = desk.decide(m.StartsBlocked(reason=None))
    assert len(decision.effects) == 1
    assert len(desk.running()) == 1
    assert desk.core.host_reason is None


def test_a_life_of_the_scheduler_begins_without_a_condition(desk: Any) -> None:
    desk.decide(m.StartsBlocked(reason="no more processes", run_ids=frozenset({"run-x"})))
    desk.submit("a")
    decision = desk.core.recover(desk.connection, desk.now)
    assert [type(effect) for effect in decision.effects] == [m.EnsureRun]
    assert desk.core.waiting == frozenset()
