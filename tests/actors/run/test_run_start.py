"""Start a run, or find it again after a crash: the table of recovery. On imagined processes."""

import errno
import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from actors import messages as m
from actors.runner import InlinePool, StopFlag
from config.job_type import JobType
from config.weight import LIGHT_VALUES_MAX
from headway.model.job import JobStatus
from tests.actors.house import House, code_of, crash_with_a_run


async def test_a_program_is_given_what_the_contract_says(house: House) -> None:
    async with house.running():
        (job,) = await house.submit("a")
        await house.ended(job)
    (launch,) = house.host.launches
    root = house.path / "runs" / launch.run_id
    assert launch.argv == ["a"]
    assert launch.work_dir == root / "work"
    assert launch.log == root / "log"
    assert launch.stdin is None
    assert launch.environment == {
        "PATH": "/bin",
        "HOME": "/",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "HEADWAY_JOB_ID": job.job_id,
        "HEADWAY_RUN_ID": launch.run_id,
        "HEADWAY_ARTIFACTS": str(root / "artifacts"),
        "HEADWAY_REPORT": str(root / "report"),
    }
    assert not launch.work_dir.exists()  # it ends with its run


async def test_params_may_come_by_standard_input(house: House) -> None:
    fields = {"params": {"n": {"type": "integer"}}, "input": "json"}
    house.types["in"] = type(house.types["a"]).model_validate(
        {"name": "in", "command": ["in"], **fields}
    )
    async with house.running():
        (job,) = await house.submit({"type": "in", "params": {"n": 7}})
        await house.ended(job)
        (launch,) = house.host.launches
        assert launch.stdin is not None
        assert launch.stdin is not None
        assert json.loads(launch.stdin) == {"n": 7}


class MarkedPool(InlinePool):
    """Knows whether it is at work."""

    def __init__(self) -> None:
        self.at_work = False

    async def run(self, work: Callable[[StopFlag], Any]) -> Any:
        def marked(flag: StopFlag) -> Any:
            self.at_work = True
            try:
                return work(flag)
            finally:
                self.at_work = False

        return await super().run(marked)


@pytest.mark.parametrize("count", [1, LIGHT_VALUES_MAX])
@pytest.mark.parametrize("way", [{"input": "json"}, {"arg": "--n"}])
async def test_large_params_are_written_out_on_a_thread(
    house: House, monkeypatch: pytest.MonkeyPatch, count: int, way: dict[str, str]
) -> None:
    param = {"type": "array", "items": {"type": "integer"}}
    fields = (
        {"input": "json", "params": {"n": param}}
        if "input" in way
        else {"params": {"n": param | way}}
    )
    house.types["in"] = type(house.types["a"]).model_validate(
        {"name": "in", "command": ["in"], **fields}
    )
    house.files = MarkedPool()
    where = list[bool]()
    stdin = JobType.stdin

    def noted(self: JobType, params: Any) -> bytes | None:
        where.append(house.files.at_work)
        return stdin(self, params)

    monkeypatch.setattr(JobType, "stdin", noted)
    async with house.running():
        (job,) = await house.submit({"type": "in", "params": {"n": [7] * count}})
        await house.ended(job)
        (launch,) = house.host.launches
    if "input" in way:
        assert launch.stdin is not None
        assert json.loads(launch.stdin) == {"n": [7] * count}
    else:
        assert launch.argv == ["in", *["--n=7"] * count]
    assert where == [count > 1]


async def test_a_program_that_cannot_be_started(house: House, program: Any) -> None:
    house.host.programs["a"] = program(spawn_error="cannot start a: there is no such file")
    async with house.running():
        job, after = await house.submit("a", "b")
        job = await house.ended(job)
        run = house.run(job)
        assert (job.status, code_of(run), run.pid) == (JobStatus.FAILED, "spawn", None)
        assert job.reason == "cannot start a: there is no such file"
        assert (await house.ended(after)).status is JobStatus.COMPLETED


async def test_a_refusal_that_a_crash_overtakes_does_not_count(house: House, program: Any) -> None:
    """The scheduler's next life asks again, and this time the program can be started."""
    outcomes = iter([program(spawn_error="no more processes"), program()])

    def crash_once(_: Any) -> None:
        house.host.programs["a"] = next(outcomes)
        if house.host.programs["a"].spawn_error is not None:
            nonsense = m.StopRun(run_id="run-none", reason="cancel")
            house.mailbox("scheduler").tell_nowait(nonsense)

    house.host.on_launch = crash_once
    async with house.running():
        (job,) = await house.submit("a")
        job = await house.ended(job)
        assert len(house.host.launches) == 2
        assert (job.status, code_of(house.run(job))) == (JobStatus.COMPLETED, None)


async def test_a_shell_that_cannot_start_it_says_so_in_the_log(house: House, program: Any) -> None:
    words = b"headway-shim: 11: exec: a: Permission denied\n"
    house.host.programs["a"] = program(exit_code=126, output=words)
    house.host.programs["b"] = program(exit_code=126, output=b"my own words\n")
    async with house.running():
        job, other = await house.submit("a", "b")
        assert code_of(house.run(await house.ended(job))) == "spawn"
        assert code_of(house.run(await house.ended(other))) == "exit_status"


async def test_a_living_program_is_adopted(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=100, exit_code=3)
    job = await crash_with_a_run(house)
    assert len(house.host.living) == 1
    await trio.sleep(10)
    async with house.running():
        job = await house.ended(job)
        run = house.run(job)
        assert (run.exit_code, run.duration_s, run.pid) == (3, 100, 1001)
    assert len(house.host.launches) == 1


async def test_who_cannot_look_does_not_start_it_again(
    house: House, program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.host.programs["a"] = program(lasts_s=100)
    job = await crash_with_a_run(house)
    looks = []

    def adopt(*arguments: Any) -> Any:
        looks.append(arguments)
        if len(looks) < 8:
            raise OSError(errno.EMFILE, "Too many open files")
        return type(house.host).adopt(house.host, *arguments)

    monkeypatch.setattr(house.host, "adopt", adopt)
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.COMPLETED
    assert len(looks) == 8
    assert len(house.host.launches) == 1


async def test_a_program_that_ended_meanwhile_is_settled(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=100, report=b'{"result": 7}\n')
    job = await crash_with_a_run(house)
    await trio.sleep(1000)
    async with house.running():
        job = await house.ended(job)
        assert job.status is JobStatus.COMPLETED
        assert (house.run(job).result, house.run(job).pid) == (7, 1001)
    # It may have left processes behind, and no server was there to end them.
    assert house.host.swept == [frozenset({house.run(job).run_id})]
    assert len(house.host.launches) == 1


async def test_a_shim_that_was_lost_meanwhile_is_interrupted(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=100, shim_speaks=False)
    job = await crash_with_a_run(house)
    await trio.sleep(1000)
    async with house.running():
        job = await house.ended(job)
        assert code_of(house.run(job)) == "interrupted"
    assert house.host.swept == [frozenset({house.run(job).run_id})]
    assert len(house.host.launches) == 1


@pytest.mark.parametrize("lasts_s", [8.0, 1e6])
async def test_without_a_shim_a_crash_interrupts(
    house: House, program: Any, lasts_s: float
) -> None:
    house.types["a"] = house.types["a"].model_copy(update={"adopt": False})
    house.host.programs["a"] = program(lasts_s=lasts_s)
    job = await crash_with_a_run(house)
    house.types["a"] = house.types["a"].model_copy(update={"adopt": True})  # it had no shim
    await trio.sleep(10)
    async with house.running():
        job = await house.ended(job)
        assert code_of(house.run(job)) == "interrupted"
    assert house.host.swept == [frozenset({house.run(job).run_id})]
    assert house.host.living == []
    assert len(house.host.launches) == 1


async def test_another_boot_has_interrupted_it(long: House) -> None:
    job = await crash_with_a_run(long)
    long.host.reboot()
    async with long.running():
        job = await long.ended(job)
        assert code_of(long.run(job)) == "interrupted"
    assert (len(long.host.launches), long.host.swept) == (1, [])


async def test_what_ended_before_the_reboot_has_ended(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=10, exit_code=77)
    job = await crash_with_a_run(house)
    await trio.sleep(100)
    house.host.reboot()
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.SKIPPED


async def die_before_the_start(
    house: House, leave: str = "nothing", *, cancel: bool = False
) -> Any:
    """Commit an intent, start nothing; leave of the run's directory what a crash would."""
    async with house.crashing() as context:
        await house.lose("executor")
        (job,) = await house.submit("a")
        if cancel:
            await context.ask(m.CancelJob(job_id=job.job_id))
    assert house.host.launches == []
    root = house.path / "runs" / house.run(job).run_id
    if leave != "nothing":
        root.mkdir()
    if leave == "a torn line":
        (root / "exit").write_text("started 7")
    return job


@pytest.mark.parametrize("leave", ["nothing", "an empty directory", "a torn line"])
async def test_what_was_never_started_is_started_under_the_same_id(
    house: House, leave: str
) -> None:
    job = await die_before_the_start(house, leave)
    async with house.running():
        job = await house.ended(job)
    assert house.host.order == [house.run(job).run_id]
    assert job.status is JobStatus.COMPLETED


@pytest.mark.parametrize("leave", ["nothing", "an empty directory", "a torn line"])
async def test_what_was_never_started_and_is_cancelled_is_not_started(
    house: House, leave: str
) -> None:
    job = await die_before_the_start(house, leave, cancel=True)
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.CANCELLED
    assert house.host.launches == []


async def test_a_type_that_is_no_longer_configured(long: House) -> None:
    job = await die_before_the_start(long)
    del long.types["a"]
    async with long.running():
        job = await long.ended(job)
        assert code_of(long.run(job)) == "spawn"


async def test_a_run_that_was_claimed_before_a_reboot_is_not_started(
    house: House, program: Any
) -> None:
    """Its directory may have been lost with the power, and what had begun must not begin twice."""
    house.host.programs["a"] = program(lasts_s=100)
    job = await die_before_the_start(house)
    house.host.reboot()
    launched = len(house.host.launches)
    async with house.running():
        job = await house.ended(job)
        assert job.status is JobStatus.FAILED
        assert len(house.host.launches) == launched
