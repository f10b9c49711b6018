"""What a run writes while it runs: its progress, and output beyond the limit of its type."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from headway.model.job import JobStatus, Progress
from tests.actors.house import House, code_of


async def test_progress_is_seen_while_it_runs(long: House) -> None:
    async with long.running() as context:
        (job,) = await long.submit("a")
        await trio.sleep(1)
        report = Path(long.host.launches[0].environment["HEADWAY_REPORT"])
        for n in (1, 2):
            with report.open("a") as file:  # noqa: ASYNC230
                file.write(json.dumps({"progress": n / 10}) + "\n")
            await trio.sleep(1)
            shown = context.with_progress(long.job(job))
            assert shown.progress == Progress(fraction=n / 10, message=None)
        assert long.job(job).status is JobStatus.RUNNING


@pytest.mark.parametrize("lasts_s", [0.01, None])
async def test_too_much_output_fails_a_type_that_wants_it(
    house: House, program: Any, lasts_s: float | None
) -> None:
    house.host.programs["small"] = program(lasts_s=lasts_s, output=b"x" * 40_000)
    async with house.running():
        (job,) = await house.submit("small")
        job = await house.ended(job, timeout_s=60)
        run = house.run(job)
    assert (job.status, code_of(run)) == (JobStatus.FAILED, "output_limit")
    assert (run.log.bytes, run.log.truncated) == (40_000, True)


async def test_too_much_output_is_dropped_for_the_others(house: House, program: Any) -> None:
    small = house.types["small"].model_copy(update={"on_output_limit": "drop"})
    house.types["small"] = small
    house.host.programs["small"] = program(output=b"x" * 40_000)
    async with house.running():
        (job,) = await house.submit("small")
        job = await house.ended(job)
        assert job.status is JobStatus.COMPLETED
        assert house.run(job).log.truncated


async def test_a_late_result_behind_much_progress_is_kept(house: House, program: Any) -> None:
    line = json.dumps({"message": "x" * 10_000}).encode() + b"\n"
    house.host.programs["a"] = program(lasts_s=0.01, report=line * 500 + b'{"result": 7}\n')
    async with house.running():
        (job,) = await house.submit("a")
        assert house.run(await house.ended(job)).result == 7
