"""The whole server on a disk that is full or fails: refusals, no loss, an end in order."""

from typing import Any

import apsw
import pytest
import trio

from actors import messages as m
from actors.scheduler import HOST_RETRY_S
from headway.model.job import JobStatus, Progress
from headway.model.problem import Refusal
from headway.model.run import RunStatus
from storage.database import open_reader
from storage.disk_reserve import DiskReserve
from tests.actors.house import House
from web.process.shutdown import shut_down


async def test_an_answer_is_on_disk_before_it_is_given(house: House) -> None:
    async with house.crashing():
        (job,) = await house.submit("a")
        other = open_reader(house.path / "headway.db")
        assert other.execute("SELECT count(*) FROM jobs WHERE job_id = ?", (job.job_id,)).get == 1
        other.close()


async def test_a_full_disk_refuses_asks_and_keeps_what_it_was_told(
    house: House, program: Any, disk: Any
) -> None:
    house.vfs = disk.name
    house.host.programs["a"] = program(lasts_s=10)
    async with house.running() as context:
        first, second = await house.submit("a", "b")
        await trio.sleep(5)
        disk.error = apsw.FullError
        with pytest.raises(Refusal) as caught:
            await house.submit("b")
        assert caught.value.code == "storage_full"
        await trio.sleep(60)  # the run ends
        assert house.job(first).status is JobStatus.RUNNING
        assert house.host.living == []
        with pytest.raises(Refusal):
            await context.ask(m.Probe())
        disk.error = None
        await trio.sleep(2 * HOST_RETRY_S)
        await context.ask(m.Probe())
        assert house.job(first).status is JobStatus.COMPLETED
        assert (await house.ended(second)).status is JobStatus.COMPLETED
        assert context.reader.execute("SELECT count(*) FROM jobs").get == 2
        assert house.seqs() == list(range(1, len(house.seqs()) + 1))
        assert house.broken() == []


async def test_a_full_disk_is_no_crash(house: House, disk: Any) -> None:
    house.vfs = disk.name
    async with house.running():
        disk.error = apsw.FullError
        for _ in range(10):
            with pytest.raises(Refusal) as caught:
                await house.submit("b")
            assert caught.value.code == "storage_full"
        disk.error = None
        await trio.sleep(2 * HOST_RETRY_S)
        (job,) = await house.submit("b")
        assert (await house.ended(job)).status is JobStatus.COMPLETED
        kinds = house.context.reader.execute(
            "SELECT count(*) FROM events WHERE kind = ?", ("server.started",)
        )
        assert kinds.get == 1


async def test_a_server_that_starts_on_a_full_disk_waits_for_space(
    house: House, program: Any, disk: Any
) -> None:
    house.vfs = disk.name
    house.host.programs["a"] = program(lasts_s=10)
    async with house.crashing():
        (job,) = await house.submit("a")
        await trio.sleep(1)
    disk.error = apsw.FullError
    async with house.running() as context:
        await trio.sleep(60)  # the run ends; a restart would be given up after three
        assert house.job(job).status is JobStatus.RUNNING
        with pytest.raises(Refusal) as caught:
            await house.submit("b")
        assert caught.value.code == "storage_full"
        disk.error = None
        (other,) = await house.submit("b")  # the next message tries, whatever the timer says
        assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert (await house.ended(other)).status is JobStatus.COMPLETED
        assert context.reader.execute("SELECT count(*) FROM jobs").get == 2
    assert len(house.host.launches) == 2
    kinds = [row[0] for row in house.reader.execute("SELECT kind FROM events ORDER BY seq")]
    assert kinds.count("server.started") == 2
    assert house.broken() == []


async def test_nothing_told_is_lost_when_the_actors_crash_on_a_full_disk(
    house: House, program: Any, disk: Any
) -> None:
    house.vfs = disk.name
    house.concurrency = 3
    house.host.programs["a"] = program(lasts_s=10)
    house.host.programs["b"] = program(lasts_s=None)
    async with house.running() as context:
        ends, _ = await house.submit("a", {"type": "b", "timeout_s": 20})
        reserved = await context.ask(m.StartDirect(type="b", params={}))
        await trio.sleep(1)
        disk.error = apsw.FullError
        await context.scheduler.tell(m.AbandonDirect(reserved=reserved))
        for name in ("executor", "scheduler"):
            await trio.sleep(30)
            await house.mailbox(name).tell(m.GetMetrics())  # a bug: the scheduler crashes too
        await trio.sleep(30)
        disk.error = None
        await trio.sleep(100)
        assert house.job(ends).status is JobStatus.COMPLETED
        assert house.run(reserved.run_id).status is RunStatus.CANCELLED
        assert house.host.living == []
        assert len(house.host.launches) == 3
        assert house.broken() == []


async def test_an_event_in_a_batch_that_crashes_is_not_lost(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=None)
    async with house.running() as context:
        reserved = await context.ask(m.StartDirect(type="a", params={}))
        await trio.sleep(1)
        context.scheduler.tell_nowait(m.AbandonDirect(reserved=reserved))
        context.scheduler.tell_nowait(m.GetMetrics())  # in the same batch, and not for him
        await trio.sleep(60)
        assert house.run(reserved.run_id).status is RunStatus.CANCELLED
        assert house.broken() == []


async def test_what_waits_for_space_is_bounded(
    house: House, program: Any, disk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.vfs = disk.name
    house.host.programs["a"] = program(lasts_s=None)
    waiting: list[int] = []
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(1)
        run_id = house.run(job).run_id
        decide = context.core.decide

        def counted(connection: Any, now: int, batch: list[Any], **options: Any) -> Any:
            waiting.append(len(batch))
            return decide(connection, now, batch, **options)

        monkeypatch.setattr(context.core, "decide", counted)
        disk.error = apsw.FullError
        for n in range(500):
            progress = Progress(fraction=n / 500, message=None)
            await context.scheduler.tell(
                m.RunProgressed(run_id=run_id, job_id=job.job_id, progress=progress)
            )
            await context.scheduler.tell(m.RunProcess(run_id=run_id, pid=n, began_us=n))
            await context.scheduler.tell(m.TimerFired())
            await trio.sleep(0.1)
        assert max(waiting) <= 6
        disk.error = None
        await trio.sleep(2 * HOST_RETRY_S)
        assert house.job(job).progress == progress
        assert house.run(job).pid == 499
        house.host.living[0].end(0)
        await house.settled()


async def test_a_server_can_be_shut_down_on_a_full_disk(
    house: House, program: Any, disk: Any
) -> None:
    house.vfs = disk.name
    house.host.programs["a"] = program(lasts_s=1000)

    class Door:
        closed = finished = False

        def drain(self) -> None:
            self.closed = True

        def finish(self) -> None:
            self.finished = True

    async def no_signal() -> Any:
        await trio.sleep_forever()
        yield  # never

    door = Door()
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(1)
        disk.error = apsw.FullError
        await shut_down(context, door, no_signal(), detach=False)  # type: ignore[arg-type]
        disk.left = 1  # for the checkpoint; a close may fail
    assert door.closed
    assert door.finished
    assert house.job(job).status is JobStatus.RUNNING
    disk.error = None
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.COMPLETED
    assert len(house.host.launches) == 1
    assert house.broken() == []


async def test_on_a_full_disk_what_ends_something_is_written_into_the_reserve(
    house: House, program: Any, disk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up: list[str] = []

    def give_up(_: DiskReserve) -> bool:
        given_up.append("given up")
        disk.error = None
        return True

    def fill(_: DiskReserve) -> None:
        if given_up:
            disk.error = apsw.FullError

    house.vfs = disk.name
    house.host.programs["a"] = program(lasts_s=1000)
    async with house.running() as context:
        running, waiting, other = await house.submit("a", "b", "b")
        await trio.sleep(1)
        disk.error = apsw.FullError
        monkeypatch.setattr(DiskReserve, "give_up", give_up)
        monkeypatch.setattr(DiskReserve, "fill", fill)
        with pytest.raises(Refusal):
            await house.submit("b")
        assert given_up == []
        await context.ask(m.CancelJob(job_id=waiting.job_id))
        assert house.job(waiting).status is JobStatus.CANCELLED
        await context.ask(m.CancelJob(job_id=running.job_id))
        await trio.sleep(5)
        assert house.job(running).status is JobStatus.CANCELLED
        assert house.job(other).status is JobStatus.QUEUED, "nothing starts on a full disk"
        with pytest.raises(Refusal):
            await house.submit("b")
        disk.error = None
        monkeypatch.undo()
        assert (await house.ended(other)).status is JobStatus.COMPLETED
        assert house.broken() == []
