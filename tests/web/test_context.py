"""What handlers ask: answers in time, and blocks that are left when the server drains."""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors import messages as m
from headway.model.job import JobStatus
from headway.model.problem import Refusal
from storage.jobs import find_job
from web.context import Context, UnlessDraining


async def test_the_refusal_of_an_unknown_type_lists_the_known_ones(context: Context) -> None:
    assert context.job_type("a").name == "a"
    with pytest.raises(Refusal, match="there are: a") as caught:
        context.job_type("b")
    assert caught.value.code == "unknown_type"


async def test_waiting_ends_with_the_job(context: Context, submit: Any, programs: Any) -> None:
    job = await submit()
    async with trio.open_nursery() as nursery:

        async def end_later() -> None:
            await trio.sleep(7)
            programs.processes[0].end()

        nursery.start_soon(end_later)
        begin = trio.current_time()
        ended = await context.until_ended(job.job_id, 60)
    assert ended.status is JobStatus.COMPLETED
    assert trio.current_time() - begin == pytest.approx(7)


async def test_a_wait_reads_the_job_once_however_often_it_looks(
    context: Context, submit: Any, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    job = await submit()

    def noted(connection: Any, job_id: str) -> Any:
        reads.append(job_id)
        return find_job(connection, job_id)

    monkeypatch.setattr("web.context.find_job", noted)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(context.until_ended, job.job_id, 60)
        await wait_all_tasks_blocked()
        programs.processes[0].end()
    assert reads == [job.job_id]


async def test_waiting_ends_with_the_time(context: Context, submit: Any) -> None:
    job = await submit()
    begin = trio.current_time()
    assert (await context.until_ended(job.job_id, 5)).status is JobStatus.RUNNING
    assert trio.current_time() - begin == pytest.approx(5)


async def test_waiting_ends_with_the_server(context: Context, submit: Any) -> None:
    job = await submit()
    begin = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def drain() -> None:
            await trio.sleep(2)
            context.draining.set()

        nursery.start_soon(drain)
        assert (await context.until_ended(job.job_id, 60)).status is JobStatus.RUNNING
    assert trio.current_time() - begin == pytest.approx(2)


async def test_what_has_ended_is_not_waited_for(
    context: Context, submit: Any, programs: Any
) -> None:
    job = await submit()
    programs.processes[0].end()
    await wait_all_tasks_blocked()
    begin = trio.current_time()
    assert (await context.until_ended(job.job_id, 60)).status is JobStatus.COMPLETED
    assert trio.current_time() == begin


async def test_a_direct_run_is_waited_for(context: Context, programs: Any) -> None:
    reserved = await context.ask(m.StartDirect(type="a", params={}))
    await wait_all_tasks_blocked()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(context.until_run_ended, reserved.run_id)
            await wait_all_tasks_blocked()
            programs.processes[0].end()


async def test_a_walk_runs_on_a_connection_of_its_own(context: Context) -> None:
    quick = await context.walk(lambda connection: connection)
    long = await context.walk(lambda connection: connection, is_long=True)
    assert len({quick, long, context.reader}) == 3
    for connection in (quick, long):
        assert connection.readonly("main")


async def test_the_readers_cannot_write(context: Context) -> None:
    assert context.reader.readonly("main")


async def test_a_block_is_left_when_the_server_drains(autojump_clock: Any) -> None:
    draining = trio.Event()
    reached: list[str] = []
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            async with UnlessDraining(draining):
                await trio.sleep_forever()
            reached.append("behind")

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert reached == []
        draining.set()
    assert reached == ["behind"]


async def test_a_block_of_a_draining_server_is_left_at_once(autojump_clock: Any) -> None:
    draining = trio.Event()
    draining.set()
    with trio.fail_after(1):
        async with UnlessDraining(draining):
            await trio.sleep_forever()


async def test_a_block_that_ends_by_itself_leaves_nothing(autojump_clock: Any) -> None:
    draining = trio.Event()
    async with trio.open_nursery() as nursery:
        async with UnlessDraining(draining):
            pass
        assert len(nursery.child_tasks) == 0
    assert draining.statistics().tasks_waiting == 0


async def test_being_cancelled_goes_through_it(autojump_clock: Any) -> None:
    with trio.move_on_after(1) as scope:
        async with UnlessDraining(trio.Event()):
            await trio.sleep_forever()
    assert scope.cancelled_caught
