"""What a run is sent and when: timeouts, cancels, grace; and what is recorded of its end."""

from typing import Any

import pytest
import trio

from actors import messages as m
from actors.run.run_lifecycle import FENCE_AFTER_S, IMMEDIATE_GRACE_S
from headway.model.job import JobStatus, Progress
from headway.model.run import RunStatus
from tests.actors.house import House, code_of


def signals(house: House) -> list[Any]:
    """What the first process was sent, and when: (name, seconds)."""
    return list(house.host.processes[0].signals)


@pytest.mark.parametrize(
    ("exit_code", "status", "code"),
    [(0, "COMPLETED", None), (77, "SKIPPED", None), (3, "FAILED", "exit_status")],
)
async def test_a_job_ends_as_its_program_did(
    house: House, program: Any, exit_code: int, status: str, code: str | None
) -> None:
    house.host.programs["a"] = program(exit_code=exit_code, lasts_s=2.5)
    async with house.running():
        (job,) = await house.submit("a")
        job = await house.ended(job)
        run = house.run(job)
    assert (job.status, run.status, code_of(run)) == (status, status, code)
    assert (run.exit_code, run.duration_s, run.pid) == (exit_code, 2.5, 1001)


async def test_a_lost_shim_is_never_taken_for_success(house: House, program: Any) -> None:
    house.host.programs["a"] = program(shim_speaks=False)
    async with house.running():
        (job,) = await house.submit("a")
        assert code_of(house.run(await house.ended(job))) == "interrupted"


async def test_what_a_program_leaves_is_collected(house: House, program: Any) -> None:
    report = b'{"progress": 0.5, "message": "half"}\nnonsense\n{"result": {"n": 1}}\n'
    house.host.programs["a"] = program(
        lasts_s=0.01, report=report, artifacts={"b.txt": b"bb", "a.txt": b""}, output=b"words\n"
    )
    async with house.running():
        (job,) = await house.submit("a")
        job = await house.ended(job)
        run = house.run(job)
    assert job.progress == Progress(fraction=0.5, message="half")
    assert run.result == {"n": 1}
    assert [(a.name, a.size_bytes) for a in run.artifacts] == [("a.txt", 0), ("b.txt", 2)]
    assert (run.log.bytes, run.log.truncated) == (6, False)


async def test_a_run_that_lasts_is_shown_and_fenced(long: House) -> None:
    async with long.running():
        (job,) = await long.submit("a")
        await long.settled()
        assert long.run(job).pid is None
        await trio.sleep(0.1)
        assert long.run(job).pid == 1001
        assert not long.host.processes[0].fenced
        await trio.sleep(FENCE_AFTER_S)
        assert long.host.processes[0].fenced


async def test_a_run_that_is_over_at_once_saves_a_commit(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=0.01)
    async with house.running():
        (job,) = await house.submit("a")
        job = await house.ended(job)
        assert house.kinds(job) == ["job.submitted", "run.started", "run.finished"]
        assert house.run(job).pid == 1001


async def test_a_timeout_ends_it(long: House) -> None:
    async with long.running():
        (job,) = await long.submit({"type": "a", "timeout_s": 90})
        job = await long.ended(job)
        run = long.run(job)
    assert (job.status, code_of(run), run.signal) == (JobStatus.FAILED, "timeout", 15)
    assert signals(long) == [("TERM", pytest.approx(90))]
    assert run.duration_s == pytest.approx(90)


async def test_a_program_that_ends_in_time_is_not_touched(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=89.9)
    async with house.running():
        (job,) = await house.submit({"type": "a", "timeout_s": 90})
        assert (await house.ended(job)).status is JobStatus.COMPLETED
        await trio.sleep(100)
    assert house.host.processes[0].signals == []


async def test_cancel_is_term(long: House) -> None:
    async with long.running() as context:
        (job,) = await long.submit("a")
        await trio.sleep(7)
        asked = await context.ask(m.CancelJob(job_id=job.job_id))
        assert asked.status is JobStatus.RUNNING
        job = await long.ended(job)
        run = long.run(job)
    assert (job.status, run.status, code_of(run)) == ("CANCELLED", "CANCELLED", None)
    assert signals(long) == [("TERM", pytest.approx(7))]


async def test_who_ignores_term_is_killed_after_the_grace(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=None, heeds_term=False)
    async with house.running() as context:
        (job,) = await house.submit("a")
        await trio.sleep(7)
        await context.ask(m.CancelJob(job_id=job.job_id))
        await trio.sleep(1)
        await context.ask(m.CancelJob(job_id=job.job_id))  # again changes nothing
        job = await house.ended(job)
    assert job.status is JobStatus.CANCELLED
    assert signals(house) == [
        ("TERM", pytest.approx(7)),
        ("KILL", pytest.approx(12)),
    ]
    assert house.run(job).signal == 9


async def test_no_grace_is_kill_at_once(house: House, program: Any) -> None:
    house.types["a"] = house.types["a"].model_copy(update={"kill_grace_s": 0.0})
    house.host.programs["a"] = program(lasts_s=None, heeds_term=False)
    async with house.running() as context:
        (job,) = await house.submit("a")
        await context.ask(m.CancelJob(job_id=job.job_id))
        begin = trio.current_time()
        await house.ended(job)
        assert trio.current_time() == begin


async def test_haste_shortens_a_grace_that_runs_already(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=None, heeds_term=False)
    async with house.running() as context:
        (job,) = await house.submit("a")
        await context.ask(m.StopRuns(immediately=False))
        await trio.sleep(1)
        await context.ask(m.StopRuns(immediately=True))
        await house.ended(job)
        run = house.run(job)
    assert [at for _, at in house.host.processes[0].signals] == [
        pytest.approx(0),
        pytest.approx(1 + IMMEDIATE_GRACE_S),
    ]
    assert (run.status, code_of(run)) == (RunStatus.FAILED, "interrupted")


async def test_a_cancel_that_comes_too_late_changes_nothing(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=None, heeds_term=False)
    async with house.running() as context:
        (job,) = await house.submit({"type": "a", "timeout_s": 10})
        await trio.sleep(11)  # the timeout is on record, the program in its grace
        await context.ask(m.CancelJob(job_id=job.job_id))
        assert (await house.ended(job)).status is JobStatus.FAILED
        assert code_of(house.run(job)) == "timeout"


async def test_without_a_shim_the_parent_says_how_it_ended(house: House, program: Any) -> None:
    house.types["a"] = house.types["a"].model_copy(update={"adopt": False})
    house.host.programs["a"] = program(lasts_s=10, exit_code=77)
    async with house.running():
        (job,) = await house.submit("a")
        assert (await house.ended(job)).status is JobStatus.SKIPPED
    (launch,) = house.host.launches
    assert not launch.shim
    assert not launch.exit_file.exists()
    assert house.host.swept == []


async def test_a_timeout_counts_from_the_start_of_the_program(long: House) -> None:
    async with long.crashing():
        (job,) = await long.submit({"type": "a", "timeout_s": 100})
        await trio.sleep(60)
    await trio.sleep(30)
    async with long.running():
        job = await long.ended(job)
        assert code_of(long.run(job)) == "timeout"
    assert [at for _, at in long.host.processes[0].signals] == [pytest.approx(100)]
