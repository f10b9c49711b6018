"""The executor with the whole server, on imagined processes and virtual time."""

from typing import Any

import trio

from actors import messages as m
from headway.model.job import JobStatus
from headway.model.run import RunStatus
from tests.actors.house import House, crash_with_a_run


async def test_nothing_of_a_run_is_left_when_its_end_is_told(house: House, program: Any) -> None:
    house.host.programs["a"] = program(leaves_behind=True)
    async with house.running():
        (job,) = await house.submit("a")
        await house.ended(job)
        (process,) = house.host.processes
        assert not process.left_behind
        assert process.signals == []  # the program itself was left alone
        await house.settled()
        assert process.closed == 1
        assert house.broken() == []


async def test_a_run_whose_directory_is_given_to_another_ends_like_any(long: House) -> None:
    """The kernel has one watch for a directory, whatever leads to it (inotify_add_watch(2))."""
    long.concurrency = 2
    async with long.running() as services:
        (first,) = await long.submit("a")
        await trio.sleep(0.1)
        (second,) = await long.submit("a")
        await long.settled()
        of_first, of_second = (launch.work_dir.parent for launch in long.host.launches)
        of_second.rename(of_second.with_name("moved"))
        of_first.rename(of_second)
        await trio.sleep(0.1)
        of_second.rename(of_first)
        of_second.with_name("moved").rename(of_second)
        for job in (second, first):
            await services.ask(m.CancelJob(job_id=job.job_id))
            assert (await long.ended(job)).status is JobStatus.CANCELLED
    assert not long.headway._supervisor._restarts


async def test_no_artifact_can_end_the_server(house: House, program: Any) -> None:
    house.host.programs["a"] = program(artifacts={"\udcff": b"x", "good": b"y"})
    async with house.running():
        (job,) = await house.submit("a")
        assert (await house.ended(job)).status is JobStatus.COMPLETED


async def test_a_direct_run_that_is_given_up(long: House) -> None:
    async with long.running() as context:
        reserved = await context.ask(m.StartDirect(type="a", params={}))
        await trio.sleep(1)
        assert "HEADWAY_JOB_ID" not in long.host.launches[0].environment
        await context.scheduler.tell(m.AbandonDirect(reserved=reserved))
        await context.until_run_ended(reserved.run_id)
        assert long.run(reserved.run_id).status is RunStatus.CANCELLED


async def test_a_cancel_is_remembered_across_a_crash(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=None, heeds_term=False)
    async with house.crashing() as context:
        (job,) = await house.submit("a")
        await trio.sleep(5)
        await context.ask(m.CancelJob(job_id=job.job_id))
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.CANCELLED
    assert house.host.living == []


async def test_a_direct_run_of_a_former_life_is_ended(long: House) -> None:
    async with long.crashing() as context:
        reserved = await context.ask(m.StartDirect(type="a", params={}))
        await trio.sleep(5)
    async with long.running() as context:
        await context.until_run_ended(reserved.run_id)
        assert long.run(reserved.run_id).status is RunStatus.CANCELLED


async def test_crash_after_crash_is_one_run(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=100)
    job = await crash_with_a_run(house)
    for _ in range(5):
        async with house.crashing():
            await trio.sleep(3)
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert house.broken() == []
    assert len(house.host.launches) == 1


async def test_a_crashed_executor_finds_its_runs_again(long: House) -> None:
    async with long.running():
        (job,) = await long.submit("a")
        await trio.sleep(5)
        await long.mailbox("executor").tell(m.TimerFired())  # a bug: not for him
        await trio.sleep(5)
        assert len(long.host.launches) == 1
        long.host.processes[0].end(0)
        assert (await long.ended(job)).status is JobStatus.COMPLETED
        assert long.broken() == []


async def test_being_told_again_brings_the_reason_to_stop(long: House) -> None:
    async with long.running() as context:
        (job,) = await long.submit("a")
        await trio.sleep(5)
        long.headway._connections.writing.execute("UPDATE job_runs SET stop_reason = 'cancel'")
        await context.scheduler.tell(m.GetMetrics())  # a bug: the scheduler starts anew
        await trio.sleep(60)
        assert long.job(job).status is JobStatus.CANCELLED
