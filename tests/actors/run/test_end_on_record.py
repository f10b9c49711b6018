"""An end on record stands, whatever is asked for afterwards."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors import messages as m
from actors.run.collector import QUICK_S
from headway.model.job import JobStatus
from storage.database import DATABASE_NAME, open_writer
from storage.runs import request_stop
from storage.transaction import write_transaction
from tests.actors.house import House


@pytest.mark.parametrize("reason", ["cancel", "shutdown"])
async def test_what_ended_by_itself_is_not_ended_by_what_comes_after(
    leaving: Any, slow: Any, reason: str
) -> None:
    """It is asked to end while its artifacts are looked at."""
    async with leaving.running() as context:
        (job,) = await leaving.submit("a")
        await trio.sleep(2.5 + QUICK_S / 2)
        assert leaving.job(job).status is JobStatus.RUNNING
        if reason == "cancel":
            await context.ask(m.CancelJob(job_id=job.job_id))
        else:
            await context.ask(m.StopRuns(immediately=False))
        job = await leaving.ended(job)
        run = leaving.run(job)
        assert (job.status, run.exit_code, run.error) == (JobStatus.COMPLETED, 0, None)
        assert leaving.broken() == []


@pytest.mark.parametrize("was_signalled", [True, False])
async def test_a_signal_is_remembered_by_the_next_server(
    house: House, program: Any, was_signalled: bool
) -> None:
    """Its program ended by itself while no server was there: because of a signal, or not."""
    house.host.programs["a"] = program(lasts_s=None, heeds_term=False)
    async with house.crashing() as context:
        (job,) = await house.submit("a")
        await trio.sleep(1)
        (process,) = house.host.processes
        if was_signalled:
            await context.ask(m.CancelJob(job_id=job.job_id))
            await trio.sleep(1)
            assert [name for name, _ in process.signals] == ["TERM"]
    if not was_signalled:
        ask_to_cancel(house.path, house.run(job).run_id)
    process.end(0)
    async with house.running():
        job = await house.ended(job)
        assert house.broken() == []
    assert job.status is (JobStatus.CANCELLED if was_signalled else JobStatus.COMPLETED)


def ask_to_cancel(path: Path, run_id: str) -> None:
    """A server that was killed after it had committed the reason, and before it sent a signal."""
    connection = open_writer(path / DATABASE_NAME)
    with write_transaction(connection, 1_900_000_000_000_000) as tx:
        assert request_stop(tx, run_id, "cancel")
    connection.close()
