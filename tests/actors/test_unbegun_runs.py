"""Runs that wait for their host across crashes, shutdowns and removed directories."""

import shutil
from typing import Any

import apsw
import pytest
import trio

from actors import messages as m
from headway.model.job import JobStatus
from tests.actors.house import House
from web.context import Context
from web.process.shutdown import shut_down


@pytest.mark.parametrize("actor", ["scheduler", "executor"])
async def test_an_actor_that_crashes_starts_nothing_twice(house: House, actor: str) -> None:
    house.host.unfit = "no process can be started"
    async with house.running() as context:
        jobs = await house.submit("a", "b")
        await trio.sleep(5)
        await house.mailbox(actor).tell(m.GetMetrics())  # a bug
        await trio.sleep(5)
        assert context.events.host_condition is not None
        assert len(context.core.waiting) == 1
        house.host.unfit = None
        for job in jobs:
            assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert len(house.host.launches) == 2
        assert context.events.host_condition is None


async def test_what_waited_when_the_server_crashed_is_started_by_the_next(house: House) -> None:
    house.host.unfit = "no process can be started"
    async with house.crashing():
        (job,) = await house.submit("a")
        await trio.sleep(5)
    house.host.unfit = None
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.COMPLETED
    assert house.host.order == [house.run(job).run_id]


class Door:
    """There is no port here."""

    def drain(self) -> None: ...

    def finish(self) -> None: ...


class NoSignal:
    """An event of haste that is never set."""

    def __aiter__(self) -> "NoSignal":
        return self

    async def __anext__(self) -> int:
        await trio.sleep_forever()
        raise AssertionError


async def end_in_order(context: Context, *, detach: bool = False) -> None:
    await shut_down(context, Door(), NoSignal(), detach=detach)  # type: ignore[arg-type]


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("reboots", [False, True])
@pytest.mark.parametrize("adopt", [False, True])
async def test_what_waits_at_a_shutdown_is_left_to_the_next_server(
    house: House, program: Any, adopt: bool, reboots: bool, detach: bool
) -> None:
    house.types["a"] = house.types["a"].model_copy(update={"adopt": adopt})
    house.host.programs["b"] = program(lasts_s=None)
    house.concurrency = 2
    async with house.running() as context:
        (running,) = await house.submit("b")
        await trio.sleep(1)
        house.host.unfit = "no process can be started"
        (job,) = await house.submit("a")
        await trio.sleep(5)
        run_id = house.run(job).run_id
        began = trio.current_time()
        await end_in_order(context, detach=detach)
        assert trio.current_time() - began <= context.settings.server.shutdown_grace_s + 6
    assert house.job(job).status is JobStatus.RUNNING
    assert house.job(running).status is (JobStatus.RUNNING if detach else JobStatus.FAILED)
    house.host.unfit = None
    if reboots:
        house.host.reboot()
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert house.run(job).run_id == run_id
    assert house.host.order.count(run_id) == 1
    assert house.broken() == []


async def test_nothing_starts_when_a_drain_has_been_answered(house: House) -> None:
    house.host.unfit = "no process can be started"
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(5)
        await context.ask(m.Drain())
        house.host.unfit = None
        await house.mailbox("scheduler").tell(m.GetMetrics())  # a bug: it starts anew
        await trio.sleep(60)
        assert house.host.launches == []
        await context.ask(m.StopRuns(immediately=True))
        await trio.sleep(60)
        assert house.job(job).status is JobStatus.RUNNING
        await context.ask(m.CancelJob(job_id=job.job_id))
        assert (await house.ended(job)).status is JobStatus.CANCELLED


async def test_on_a_full_disk_what_waits_is_left_all_the_same(house: House, disk: Any) -> None:
    house.vfs = disk.name
    house.host.unfit = "no process can be started"
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(5)
        disk.error = apsw.FullError
        await end_in_order(context)
        disk.error = None
    house.host.unfit = None
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.COMPLETED
    assert len(house.host.launches) == 1


async def test_a_run_without_its_directory_is_found_by_its_process(
    house: House, program: Any
) -> None:
    house.host.programs["a"] = program(lasts_s=100)
    async with house.crashing():
        (job,) = await house.submit("a")
        await trio.sleep(5)
        shutil.rmtree(house.path / "runs" / house.run(job).run_id)
    async with house.running():
        await trio.sleep(5)
        assert len(house.host.living) == 1
        assert len(house.host.launches) == 1


@pytest.mark.parametrize("adopt", [False, True])
async def test_a_run_that_is_known_to_have_begun_does_not_begin_again(
    house: House, program: Any, adopt: bool
) -> None:
    house.types["a"] = house.types["a"].model_copy(update={"adopt": adopt})
    house.host.programs["a"] = program(lasts_s=100)
    async with house.crashing():
        (job,) = await house.submit("a")
        await trio.sleep(5)
        shutil.rmtree(house.path / "runs" / house.run(job).run_id)
        house.host.processes[0].ended.set()
    async with house.running():
        job = await house.ended(job)
        assert job.status is JobStatus.FAILED
        error = house.run(job).error
        assert error is not None
        assert error.code == "interrupted"
    assert len(house.host.launches) == 1
