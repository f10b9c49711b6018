"""Progress is shown at once, stored every 5 s at most, and costs nothing while there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.run.run_reader import PROGRESS_PAUSE_S
from headway.model.job import JobStatus, Progress
from tests.actors.house import House


@pytest.fixture
def long(house: House, program: Any) -> Any:
    """Programs of type a last until they are ended."""
    house.host.programs["a"] = program(lasts_s=None)
    return house


def report(house: House, fraction: float) -> None:
    path = Path(house.host.launches[-1].environment["HEADWAY_REPORT"])
    with path.open("a") as file:
        file.write(json.dumps({"progress": fraction}) + "\n")


def shown(house: House, job: Any) -> float | None:
    progress = house.context.with_progress(house.job(job)).progress
    return None if progress is None else progress.fraction


def stored(house: House, job: Any) -> float | None:
    progress = house.job(job).progress
    return None if progress is None else progress.fraction


async def test_a_program_that_reports_all_the_time_is_stored_every_5_s(long: House) -> None:
    async with long.running():
        (job,) = await long.submit("a")
        await trio.sleep(1)
        for n in range(1, 1951):  # 39 s, every 20 ms
            report(long, n / 4000)
            await trio.sleep(0.02)
            if n % 50 == 0:
                assert shown(long, job) == pytest.approx(n / 4000, abs=0.002)
                fraction = stored(long, job)
                assert fraction is not None
                behind_s = (n / 4000 - fraction) * 4000 * 0.02
                assert behind_s <= PROGRESS_PAUSE_S + 0.2
        assert long.kinds(job).count("job.progress") == 8
        before = long.job(job).version
        report(long, 0.75)
        long.host.processes[0].end(0)
        job = await long.ended(job)
        assert job.progress == Progress(fraction=0.75, message=None)
        assert job.version == before + 2
        assert long.kinds(job)[-2:] == ["job.progress", "run.finished"]
        assert long.context.events.progress(job.job_id) is None
        assert long.broken() == []


async def test_the_last_of_some_reports_is_stored_too(long: House) -> None:
    async with long.running():
        (job,) = await long.submit("a")
        await trio.sleep(1)
        for n in (1, 2, 3):
            report(long, n / 10)
            await trio.sleep(0.2)
        assert (shown(long, job), stored(long, job)) == (0.3, 0.1)
        await trio.sleep(PROGRESS_PAUSE_S)
        assert stored(long, job) == 0.3
        assert long.kinds(job).count("job.progress") == 2
        await trio.sleep(100)
        report(long, 0.4)
        await trio.sleep(0.2)
        assert stored(long, job) == 0.4  # after a pause at once


async def test_a_run_that_reports_nothing_wakes_nobody(long: House) -> None:
    async with long.running():
        (job,) = await long.submit("a")
        await trio.sleep(1)
        report(long, 0.5)
        await trio.sleep(60)
        statistics = trio.lowlevel.current_statistics()
        assert statistics.seconds_to_next_deadline > 3000  # its time-out
        assert stored(long, job) == 0.5


async def test_a_crash_loses_no_progress(long: House) -> None:
    async with long.crashing():
        (job,) = await long.submit("a")
        await trio.sleep(1)
        for n in (1, 2, 3):
            report(long, n / 10)
            await trio.sleep(0.2)
    assert stored(long, job) == 0.1
    async with long.running():
        await trio.sleep(1)
        assert (shown(long, job), stored(long, job)) == (0.3, 0.3)
        assert long.job(job).status is JobStatus.RUNNING


async def test_what_a_short_run_reported_is_kept(house: House, program: Any) -> None:
    lines = b'{"progress": 0.5}\n{"progress": 1}\n'
    house.host.programs["a"] = program(lasts_s=0.01, report=lines)
    async with house.running():
        (job,) = await house.submit("a")
        job = await house.ended(job)
        assert job.progress == Progress(fraction=1.0, message=None)
        kinds = ["job.submitted", "run.started", "job.progress", "run.finished"]
        assert house.kinds(job) == kinds
