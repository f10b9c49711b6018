"""A host that lets nothing start: Jobs wait for it, none fails, and all goes on by itself."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio

from actors import messages as m
from actors.rules.explanations import Rules, explain
from actors.scheduler import HOST_RETRY_S
from headway.model.field import from_us
from headway.model.job import JobStatus
from headway.model.scheduler import HostCondition
from tests.actors.desk import Desk
from tests.actors.host.test_free_space import Disk
from tests.actors.house import House
from web.context import Context

FULL = Disk(f_bavail=0)


def condition_of(context: Context) -> HostCondition:
    """What the host lacks, as it is shown; something must be."""
    condition = context.events.host_condition
    assert condition is not None
    return condition


class Space:
    """How much is free, as a test wants it; counts who looks."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.looks = 0

    def statvfs(self, _: Any) -> Disk:
        self.looks += 1
        return self.disk


@pytest.fixture
def space(house: House) -> Space:
    space = Space()
    house.statvfs = space.statvfs
    return space


def events(house: House) -> list[Any]:
    """What streams receive without a number."""
    found = house.context.events.live_after(0, house.context.events.last_seq)
    return [live.data["host_condition"] for live in found if live.kind == "scheduler.host"]


def explanation_of(house: House, job: Any) -> Any:
    context = house.context
    rules = Rules(
        types=context.job_types,
        concurrency=1,
        draining=False,
        host_reason=context.core.host_reason,
        waiting=context.core.waiting,
    )
    clock = context.clock
    return explain(house.reader, job.job_id, rules, clock.now(), clock.boot_us())


async def test_too_little_space_starts_nothing_and_fails_nothing(
    house: House, space: Space
) -> None:
    space.disk = FULL
    async with house.running() as context:
        jobs = await house.submit("a", "b", "a")
        await trio.sleep(100)
        assert house.host.launches == []
        assert {house.job(job).status for job in jobs} == {JobStatus.QUEUED}
        condition = condition_of(context)
        assert "less than 64 MiB are free" in condition.reason
        assert condition.since == from_us(context.started_at)
        assert events(house) == [condition.model_dump()]
        assert [reason.code for reason in explanation_of(house, jobs[0]).waiting] == ["host"]
        assert condition.reason in explanation_of(house, jobs[0]).message
        space.disk = Disk()
        await trio.sleep(HOST_RETRY_S)  # without any request
        for job in jobs:
            assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert context.events.host_condition is None
        assert events(house) == [None]
        assert house.broken() == []


async def test_what_runs_goes_on_where_nothing_starts(
    house: House, program: Any, space: Space
) -> None:
    house.host.programs["a"] = program(lasts_s=50)
    house.concurrency = 2
    async with house.running() as context:
        (first,) = await house.submit("a")
        await trio.sleep(1)
        space.disk = FULL
        (second,) = await house.submit("a")
        await trio.sleep(100)
        assert house.job(first).status is JobStatus.COMPLETED
        assert house.job(second).status is JobStatus.QUEUED
        cancelled = await context.ask(m.CancelJob(job_id=second.job_id))
        assert cancelled.status is JobStatus.CANCELLED
        space.disk = Disk()
        await trio.sleep(2 * HOST_RETRY_S)
        assert context.events.host_condition is None


async def test_a_clock_that_is_set_delays_no_look(house: House, space: Space) -> None:
    space.disk = FULL
    async with house.running():
        (job,) = await house.submit("a")
        await trio.sleep(10)
        house.clock.set_by_s(-10 * 86_400)
        space.disk = Disk()
        await trio.sleep(HOST_RETRY_S)
        assert (await house.ended(job, timeout_s=10)).status is JobStatus.COMPLETED


async def test_who_waits_for_nothing_looks_at_nothing(house: House, space: Space) -> None:
    async with house.running():
        (job,) = await house.submit("a")
        await house.ended(job)
        await trio.sleep(1)
        before = space.looks
        await trio.sleep(1000)
        assert space.looks == before
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline > 1000


async def test_a_life_that_begins_finds_out_by_itself(house: House, space: Space) -> None:
    space.disk = FULL
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(3)
        before = condition_of(context)
        await context.scheduler.tell(m.GetMetrics())  # a bug: the scheduler starts anew
        await trio.sleep(3)
        assert condition_of(context).reason == before.reason
        space.disk = Disk()
        assert (await house.ended(job, timeout_s=10)).status is JobStatus.COMPLETED
        assert context.events.host_condition is None


async def test_a_full_disk_is_shown_the_same_way(house: House, program: Any, disk: Any) -> None:
    house.vfs = disk.name
    house.host.programs["a"] = program(lasts_s=5)
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(1)
        assert context.events.host_condition is None
        disk.error = apsw.FullError
        await trio.sleep(10)
        assert "is full" in condition_of(context).reason
        disk.error = None
        await trio.sleep(2 * HOST_RETRY_S)
        assert context.events.host_condition is None
        assert house.job(job).status is JobStatus.COMPLETED


def test_while_runs_wait_for_the_host_nothing_is_claimed(desk: Desk) -> None:
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


def test_a_life_of_the_scheduler_begins_without_a_condition(desk: Desk) -> None:
    desk.decide(m.StartsBlocked(reason="no more processes", run_ids=frozenset({"run-x"})))
    desk.submit("a")
    decision = desk.core.recover(desk.connection, desk.now)
    assert [type(effect) for effect in decision.effects] == [m.EnsureRun]
    assert desk.core.waiting == frozenset()


async def test_a_host_that_starts_nothing_fails_nothing(house: House) -> None:
    house.host.unfit = "no process can be started"
    async with house.running() as context:
        jobs = await house.submit("a", "b", "a")
        await trio.sleep(1000)
        first, *others = (house.job(job) for job in jobs)
        assert first.status is JobStatus.RUNNING
        assert {job.status for job in others} == {JobStatus.QUEUED}
        assert condition_of(context).reason == "no process can be started"
        assert "it begins as soon as the host lets it" in explanation_of(house, first).message
        assert [reason.code for reason in explanation_of(house, first).waiting] == ["host"]
        codes = [reason.code for reason in explanation_of(house, others[0]).waiting]
        assert codes == ["host", "no_free_slot"]
        assert list((house.path / "runs").glob("run-*")) == []
        run_id = house.run(first).run_id
        house.host.unfit = None
        for job in jobs:
            assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert house.host.order[0] == run_id
        assert len(house.host.order) == 3
        assert house.run(first).duration_s == 1
        assert context.events.host_condition is None
        assert house.broken() == []


async def test_all_slots_may_wait_for_the_host_and_none_is_passed_over(house: House) -> None:
    house.concurrency = 4
    house.host.unfit = "no process can be started"
    async with house.running() as context:
        jobs = await house.submit(*"abababab")
        await trio.sleep(10)
        assert len(context.core.waiting) == 4
        house.host.unfit = None
        for job in jobs:
            assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert len(house.host.order) == 8


async def test_a_run_that_waits_for_the_host_is_cancelled_at_once(house: House) -> None:
    house.host.unfit = "no process can be started"
    async with house.running() as context:
        job, after = await house.submit("a", "b")
        await trio.sleep(10.3)
        began = trio.current_time()
        await context.ask(m.CancelJob(job_id=job.job_id))
        job = await house.ended(job)
        assert (job.status, job.duration_s) == (JobStatus.CANCELLED, 0)
        assert trio.current_time() == began
        assert house.host.launches == []
        await trio.sleep(1)
        assert house.job(after).status is JobStatus.RUNNING  # and waits in its turn
        house.host.unfit = None
        assert (await house.ended(after)).status is JobStatus.COMPLETED


@pytest.mark.parametrize("lacks", ["root", "work", "artifacts", "no runs"])
async def test_files_that_cannot_be_made_are_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    mkdir = os.mkdir

    def full(path: Any, *more: Any, **options: Any) -> None:
        name = Path(path).name
        if name == lacks or (lacks == "root" and name.startswith("run-")):
            raise OSError(errno.ENOSPC, "No space left on device")
        if lacks == "no runs" and name.startswith("run-"):
            raise OSError(errno.ENOENT, "No such file or directory")
        mkdir(path, *more, **options)

    async with house.running() as context:
        house.mailbox("executor")  # its directory pool is there
        with monkeypatch.context() as disk:
            disk.setattr(os, "mkdir", full)
            (job,) = await house.submit("a")
            await trio.sleep(10)
            assert house.job(job).status is JobStatus.RUNNING
            assert "the files of a run cannot be made" in condition_of(context).reason
            assert list((house.path / "runs").glob("run-*")) == []
        assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert len(house.host.launches) == 1


async def test_runs_that_were_removed_are_made_again(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=0.01)
    async with house.running() as context:
        shutil.rmtree(house.path / "runs")
        jobs = await house.submit("a", "a")
        for job in jobs:
            assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert context.events.host_condition is None


async def test_a_shim_that_starts_no_program_has_begun_nothing(house: House, program: Any) -> None:
    house.host.programs["a"] = program(unstarted=True)
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(5)
        assert house.job(job).status is JobStatus.RUNNING
        assert "no process is left" in condition_of(context).reason
        house.host.programs["a"] = program()
        job = await house.ended(job)
        assert (job.status, job.duration_s) == (JobStatus.COMPLETED, 1)
        assert {process.closed for process in house.host.processes} == {1}
        assert set(house.host.order) == {house.run(job).run_id}
