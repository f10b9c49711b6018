"""The only writer, in the whole server: group commit, waiting for moments, crashes."""

from datetime import timedelta
from typing import Any

import apsw
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors import messages as m
from headway.model.field import from_us
from headway.model.job import JobStatus, NewJob
from headway.model.problem import Refusal
from headway.model.run import RunStatus
from storage.errors import StorageFailed
from storage.runs import Outcome
from tests.actors.house import House

S = 1_000_000


OK = Outcome(status=RunStatus.COMPLETED, exit_code=0)


class GatedWriter:
    """Holds each transaction back until its gate is open, and counts them."""

    def __init__(self) -> None:
        self.gate = trio.Event()
        self.gate.set()
        self.calls = 0

    async def run(self, work: Any, stop: Any = None) -> Any:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            await self.gate.wait()
        self.calls += 1
        return work()


def contains(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(contains(inner, kind) for inner in error.exceptions)
    return isinstance(error, kind)


async def test_what_gathers_during_a_commit_is_the_next_commit(house: House) -> None:
    house.writer = GatedWriter()
    async with house.running():
        await house.settled()
        house.writer.calls, house.writer.gate = 0, trio.Event()
        jobs: list[Any] = []

        async def submit() -> None:
            jobs.extend(await house.submit("b"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit)
            await wait_all_tasks_blocked()  # the first commit is on its way
            for _ in range(40):
                nursery.start_soon(submit)
            await wait_all_tasks_blocked()
            assert jobs == []  # no ask is answered before the commit is on disk
            house.writer.gate.set()
        # The first, the forty, and the messages of the first run.
        assert house.writer.calls <= 3
        assert len({job.job_id for job in jobs}) == 41
        assert {job.created_at for job in jobs[1:]} == {jobs[1].created_at}


async def test_who_stops_waiting_has_asked_all_the_same(house: House) -> None:
    house.writer = GatedWriter()
    async with house.running() as context:
        house.writer.gate = trio.Event()
        with trio.move_on_after(1) as scope:
            await house.submit("b")
        assert scope.cancelled_caught
        house.writer.gate.set()
        await house.settled()
        assert context.reader.execute("SELECT count(*) FROM jobs").get == 1


async def test_intent_before_act(house: House) -> None:
    seen: list[str] = []

    def look(launch: Any) -> None:
        seen.append(house.run(launch.run_id).status)

    house.host.on_launch = look
    async with house.running():
        await house.ended((await house.submit("a"))[0])
    assert seen == [RunStatus.RUNNING]


async def test_one_after_another_in_order_of_priority(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=10)
    async with house.running():
        await house.submit("a")
        low, high, mid = await house.submit(
            {"type": "a"}, {"type": "a", "priority": 9}, {"type": "a", "priority": 5}
        )
        await house.ended(low)
        runs = [house.run(job).run_id for job in (high, mid, low)]
        assert house.host.order[1:] == runs
        assert house.context.clock.now() - house.context.started_at >= 40 * S
        assert house.seqs() == list(range(1, len(house.seqs()) + 1))
        assert house.broken() == []


async def test_a_job_starts_exactly_when_it_is_due(house: House) -> None:
    async with house.running() as context:
        due = from_us(context.clock.now()) + timedelta(days=3, microseconds=7)
        (job,) = await house.submit({"type": "a", "run_at": due})
        job = await house.ended(job, timeout_s=1e9)
        assert job.started_at == due
        assert house.kinds(job)[:3] == ["job.submitted", "job.due", "run.started"]


@pytest.mark.parametrize("moved_s", [-600, 3000, 100_000])
async def test_a_job_starts_when_the_clock_says_so_however_it_got_there(
    house: House, moved_s: float
) -> None:
    async with house.running() as context:
        due = context.clock.now() + 3600 * S
        (job,) = await house.submit({"type": "a", "run_at": from_us(due)})
        await trio.sleep(100)
        house.clock.set_by_s(moved_s)
        begin = trio.current_time()
        job = await house.ended(job, timeout_s=1e9)
        assert job.started_at == from_us(max(due, due - 3500 * S + round(moved_s * S)))
        # So many real seconds later, and one for the program.
        assert trio.current_time() - begin == pytest.approx(max(0, 3500 - moved_s) + 1)


async def test_a_later_job_does_not_hide_an_earlier_moment(house: House) -> None:
    async with house.running() as context:
        now = context.clock.now()
        first, second = await house.submit(
            {"type": "a", "run_at": from_us(now + 50 * S)},
            {"type": "a", "run_at": from_us(now + 20 * S)},
        )
        await house.submit("b")
        first = await house.ended(first)
        assert house.job(second).started_at == from_us(now + 20 * S)
        assert first.started_at == from_us(now + 50 * S)


async def test_a_job_expires_while_nothing_else_happens(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=1000)
    async with house.running() as context:
        _, job = await house.submit(
            "a", {"type": "a", "expires_at": from_us(context.clock.now() + 5 * S)}
        )
        job = await house.ended(job)
        assert job.status is JobStatus.SKIPPED
        assert job.finished_at == from_us(context.started_at + 5 * S)


async def test_a_held_slot_is_given_back_by_time(house: House) -> None:
    async with house.running() as context:
        await context.ask(m.Reserve(ttl_s=30))
        (job,) = await house.submit("a")
        job = await house.ended(job)
        assert job.started_at == from_us(context.started_at + 30 * S)


async def test_an_io_error_ends_the_server_at_once(house: House, disk: Any) -> None:
    house.vfs = disk.name
    codes: list[str] = []
    with pytest.raises(BaseException) as caught:  # noqa: PT011, PT012 - a group
        async with house.running():
            disk.error, disk.left = apsw.IOError, 1
            try:
                await house.submit("a")
            except Refusal as refusal:
                codes.append(refusal.code)
            await trio.sleep_forever()
    assert contains(caught.value, StorageFailed)
    assert codes == ["unavailable"]
    assert house.host.launches == []


async def test_a_bug_in_one_message_costs_one_restart(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=10)
    async with house.running() as context:
        (job,) = await house.submit("a")
        with pytest.raises(Refusal) as caught:
            await context.scheduler.ask(m.GetMetrics())  # not for the scheduler
        assert caught.value.code == "unavailable"
        job = await house.ended(job)
        assert job.status is JobStatus.COMPLETED
        assert len(house.host.launches) == 1
        assert house.broken() == []


async def test_told_in_vain_is_no_crash(house: House) -> None:
    async with house.running() as context:
        await context.scheduler.tell(m.CancelJob(job_id="job-none"))
        await context.scheduler.tell(m.RunExited(run_id="run-none", outcome=OK))
        assert len(await house.submit("a")) == 1


async def test_draining_starts_nothing_more_and_the_next_life_goes_on(
    house: House, program: Any
) -> None:
    house.host.programs["a"] = program(lasts_s=10)
    async with house.running() as context:
        first, second = await house.submit("a", "a")
        await context.ask(m.Drain())
        assert (await house.ended(first)).status is JobStatus.COMPLETED
        await trio.sleep(100)
        assert house.job(second).status is JobStatus.QUEUED
    async with house.running():
        assert (await house.ended(second)).status is JobStatus.COMPLETED


async def test_what_was_committed_is_published_also_when_others_crash(house: House) -> None:
    """Each published event comes once, in order, across restarts by the supervisor."""
    async with house.running() as context:
        await house.ended((await house.submit("a"))[0])
        seen = context.events.last_seq
        await house.mailbox("publisher").tell(m.TimerFired())  # a bug: it crashes, and all with it
        await house.settled()
        await house.submit("b")
        await house.settled()
        events = await context.events.beyond(seen)
        assert events is not None
        assert [event.seq for event in events] == list(range(seen + 1, context.events.last_seq + 1))


async def test_no_event_is_lost_when_the_executor_crashes_during_a_commit(house: House) -> None:
    house.writer = GatedWriter()
    async with house.running() as context:
        (job,) = await house.submit({"type": "a", "run_at": from_us(context.clock.now() + 9 * S)})
        await house.settled()
        seen = context.events.last_seq
        house.writer.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            cancel = m.CancelJob(job_id=job.job_id)
            nursery.start_soon(context.scheduler.ask, cancel)
            await wait_all_tasks_blocked()
            await house.mailbox("executor").tell(m.TimerFired())  # a bug: it crashes
            await wait_all_tasks_blocked()
            house.writer.gate.set()
        await house.settled()
        assert house.job(job).status is JobStatus.CANCELLED
        events = await context.events.beyond(seen)
        assert events is None or [event.seq for event in events] == list(
            range(seen + 1, context.events.last_seq + 1)
        )


async def test_a_batch_of_jobs_is_all_or_none(house: House) -> None:
    async with house.running() as context:
        new = tuple(NewJob(type="a") for _ in range(60))  # the queue holds 50
        with pytest.raises(Refusal) as caught:
            await context.ask(m.SubmitJobs(jobs=new, batch=True))
        assert caught.value.code == "queue_full"
        assert context.reader.execute("SELECT count(*) FROM jobs").get == 0


async def test_the_last_moment_of_all_can_be_waited_for(house: House) -> None:
    async with house.running():
        (job,) = await house.submit({"type": "a", "run_at": "9999-12-31T23:59:59.999999Z"})
        assert house.job(job).run_at == job.run_at
