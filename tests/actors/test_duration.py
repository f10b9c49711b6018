"""When a program ended and how long it ran: whatever the wall clock and the disk do."""

import os
from typing import Any

import apsw
import pytest
import trio

from actors.rules.explanations import Rules, explain
from headway.model.explanation import Ending
from headway.model.field import from_us
from tests.actors.house import House
from web.context import Context

S = 1_000_000


@pytest.mark.parametrize("set_by_s", [3600, -3600])
async def test_setting_the_clock_changes_no_duration(
    house: House, program: Any, set_by_s: int
) -> None:
    house.host.programs["a"] = program(lasts_s=3)
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(1)
        house.clock.set_by_s(set_by_s)
        job = await house.ended(job)
        run = house.run(job)
        assert (run.duration_s, job.duration_s) == (3, 3)
        ended_at = max(context.started_at, context.started_at + (3 + set_by_s) * S)
        assert run.finished_at == job.finished_at == from_us(ended_at)
        assert house.broken() == []


async def test_an_adopted_run_is_measured_from_its_own_begin(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=100)
    async with house.crashing():
        (job,) = await house.submit("a")
        await trio.sleep(5)
    house.clock.set_by_s(3600)
    await trio.sleep(10)
    async with house.running():
        assert (await house.ended(job)).duration_s == 100


@pytest.mark.parametrize("shown", [True, False])
async def test_a_run_that_ended_unwatched_ended_when_it_was_written(
    house: House, program: Any, shown: bool
) -> None:
    house.host.programs["a"] = program(lasts_s=100 if shown else 0.04)
    async with house.crashing() as context:
        (job,) = await house.submit("a")
        await trio.sleep(5 if shown else 0.01)
    await trio.sleep(1000)
    ended_at = context.started_at + round((100 if shown else 0.04) * S)
    exit_file = house.path / "runs" / house.run(job).run_id / "exit"
    os.utime(exit_file, ns=(ended_at * 1000, ended_at * 1000))
    async with house.running():
        job = await house.ended(job)
    assert job.finished_at == from_us(ended_at)
    assert job.duration_s == (100 if shown else 0.04)


async def test_a_time_that_cannot_be_is_not_believed(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=100)
    async with house.crashing():
        (job,) = await house.submit("a")
        await trio.sleep(5)
    await trio.sleep(1000)
    async with house.running() as context:
        job = await house.ended(job)
    # The host's own time of the file is before the run was claimed.
    assert (job.finished_at, job.duration_s) == (from_us(context.started_at), 1005)


async def test_a_blocked_commit_delays_no_end(house: House, program: Any, disk: Any) -> None:
    house.vfs = disk.name
    house.host.programs["a"] = program(lasts_s=5)
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(4)
        disk.error = apsw.FullError
        await trio.sleep(60)
        assert house.job(job).finished_at is None
        disk.error = None
        job = await house.ended(job)
        run = house.run(job)
        assert run.finished_at == job.finished_at == from_us(context.started_at + 5 * S)
        assert (run.duration_s, job.duration_s) == (5, 5)
        at = house.reader.execute("SELECT at FROM events WHERE kind = 'run.finished'").get
        assert at >= context.started_at + 60 * S
        assert house.broken() == []


async def test_what_never_began_took_no_time(house: House, program: Any) -> None:
    house.host.programs["a"] = program(spawn_error="there is no such file")
    async with house.running():
        (job,) = await house.submit("a")
        assert (await house.ended(job)).duration_s == 0


def ending_of(context: Context, job_id: str) -> Ending | None:
    rules = Rules(types=context.job_types, concurrency=1, draining=False)
    clock = context.clock
    return explain(context.reader, job_id, rules, clock.now(), clock.boot_us()).ending


async def test_the_estimate_of_an_end_does_not_follow_the_clock(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=100)
    async with house.running() as context:
        (first,) = await house.submit("a")
        await house.ended(first)
        (job,) = await house.submit("a")
        await trio.sleep(40)
        house.clock.set_by_s(3600)
        found = ending_of(context, job.job_id)
        assert found is not None
        assert found.end_at == from_us(context.clock.now() + 60 * S)
