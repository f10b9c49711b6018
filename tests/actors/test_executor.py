"""Making runs true: the whole server on imagined processes, on virtual time.

The table of recovery is here, and what timeouts, cancels and output limits do to a program.
"""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import messages as m
from actors.host.shim import ExitRecord
from actors.run.outcome import outcome_of
from actors.run.run_lifecycle import FENCE_AFTER_S, IMMEDIATE_GRACE_S
from actors.runner import InlinePool, StopFlag
from config.job_type import JobType
from config.weight import LIGHT_VALUES_MAX
from headway.model.job import JobStatus, Progress
from headway.model.run import RunStatus
from tests.actors.conftest import House

S = 1_000_000


def signals(house: House) -> list[Any]:
    """What the first process was sent, and when: (name, seconds)."""
    return list(house.host.processes[0].signals)


def code_of(run: Any) -> str | None:
    return run.error.code if run.error else None


@pytest.fixture
def long(house: House, program: Any) -> Any:
    """Programs of type a last until they are told to end."""
    house.host.programs["a"] = program(lasts_s=None)
    return house


# ---- what a program is given, and how it ends --------------------------------------------------


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


RECORD = ExitRecord(pid=1)


@pytest.mark.parametrize(
    ("given", "killed", "status", "code", "exit_code", "number"),
    [
        ({"exit_code": 0}, False, "COMPLETED", None, 0, None),
        ({"exit_code": 77}, False, "SKIPPED", None, 77, None),
        ({"exit_code": 78}, False, "SKIPPED", None, 78, None),
        ({"exit_code": 1}, False, "FAILED", "exit_status", 1, None),
        ({"exit_code": 137}, False, "FAILED", "exit_status", 137, None),
        ({"signal": 11}, False, "FAILED", "signal", None, 11),
        ({"signal": 11}, True, "FAILED", "signal", None, 11),
        ({}, True, "FAILED", "signal", None, 9),
        ({}, False, "FAILED", "interrupted", None, None),
    ],
)
def test_what_an_end_means(
    given: Any, killed: bool, status: str, code: Any, exit_code: Any, number: Any
) -> None:
    ended = outcome_of(ExitRecord(pid=1, **given), (77, 78), killed=killed)
    assert (ended.status, code_of(ended)) == (status, code)
    assert (ended.exit_code, ended.signal) == (exit_code, number)


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


async def test_a_lost_shim_is_never_taken_for_success(house: House, program: Any) -> None:
    house.host.programs["a"] = program(shim_speaks=False)
    async with house.running():
        (job,) = await house.submit("a")
        assert code_of(house.run(await house.ended(job))) == "interrupted"


async def test_nothing_of_a_run_is_left_when_its_end_is_told(house: House, program: Any) -> None:
    house.host.programs["a"] = program(leaves_behind=True)
    async with house.running():
        (job,) = await house.submit("a")
        await house.ended(job)
        (process,) = house.host.processes
        assert not process.left_behind
        assert process.signals == []  # the program itself was left alone
        await house.settled()
        assert process.closed == 1
        assert house.broken() == []


# ---- reports, artifacts, output ----------------------------------------------------------------


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


async def test_a_run_whose_directory_is_given_to_another_ends_like_any(long: House) -> None:
    """The kernel has one watch for a directory, whatever leads to it (inotify_add_watch(2))."""
    long.concurrency = 2
    async with long.running() as services:
        (first,) = await long.submit("a")
        await trio.sleep(0.1)
        (second,) = await long.submit("a")
        await long.settled()
        of_first, of_second = (launch.work_dir.parent for launch in long.host.launches)
        of_second.rename(of_second.with_name("moved"))
        of_first.rename(of_second)
        await trio.sleep(0.1)
        of_second.rename(of_first)
        of_second.with_name("moved").rename(of_second)
        for job in (second, first):
            await services.ask(m.CancelJob(job_id=job.job_id))
            assert (await long.ended(job)).status is JobStatus.CANCELLED
    assert not long.headway._supervisor._restarts


async def test_a_run_that_is_over_at_once_saves_a_commit(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=0.01)
    async with house.running():
        (job,) = await house.submit("a")
        job = await house.ended(job)
        assert house.kinds(job) == ["job.submitted", "run.started", "run.finished"]
        assert house.run(job).pid == 1001


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


async def test_no_artifact_can_end_the_server(house: House, program: Any) -> None:
    house.host.programs["a"] = program(artifacts={"\udcff": b"x", "good": b"y"})
    async with house.running():
        (job,) = await house.submit("a")
        assert (await house.ended(job)).status is JobStatus.COMPLETED


# ---- timeouts and cancels ----------------------------------------------------------------------


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


async def test_a_direct_run_that_is_given_up(long: House) -> None:
    async with long.running() as context:
        ticket = await context.ask(m.StartDirect(type="a", params={}))
        await trio.sleep(1)
        assert "HEADWAY_JOB_ID" not in long.host.launches[0].environment
        await context.scheduler.tell(m.AbandonDirect(ticket=ticket))
        await context.until_run_ended(ticket.run_id)
        assert long.run(ticket.run_id).status is RunStatus.CANCELLED


# ---- recovery: what a later life makes of a run ------------------------------------------------


async def crash_with_a_run(house: House, after_s: float = 5) -> Any:
    """A server starts a Job and crashes."""
    async with house.crashing():
        (job,) = await house.submit("a")
        await trio.sleep(after_s)
    return job


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
    # It may have left processes behind, and nobody was there to end them.
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


async def test_a_cancel_is_remembered_across_a_crash(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=None, heeds_term=False)
    async with house.crashing() as context:
        (job,) = await house.submit("a")
        await trio.sleep(5)
        await context.ask(m.CancelJob(job_id=job.job_id))
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.CANCELLED
    assert house.host.living == []


async def test_a_timeout_counts_from_the_start_of_the_program(long: House) -> None:
    async with long.crashing():
        (job,) = await long.submit({"type": "a", "timeout_s": 100})
        await trio.sleep(60)
    await trio.sleep(30)
    async with long.running():
        job = await long.ended(job)
        assert code_of(long.run(job)) == "timeout"
    assert [at for _, at in long.host.processes[0].signals] == [pytest.approx(100)]


async def test_a_direct_run_of_a_former_life_is_ended(long: House) -> None:
    async with long.crashing() as context:
        ticket = await context.ask(m.StartDirect(type="a", params={}))
        await trio.sleep(5)
    async with long.running() as context:
        await context.until_run_ended(ticket.run_id)
        assert long.run(ticket.run_id).status is RunStatus.CANCELLED


async def test_a_type_that_is_no_longer_configured(long: House) -> None:
    job = await die_before_the_start(long)
    del long.types["a"]
    async with long.running():
        job = await long.ended(job)
        assert code_of(long.run(job)) == "spawn"


async def test_crash_after_crash_is_one_run(house: House, program: Any) -> None:
    house.host.programs["a"] = program(lasts_s=100)
    job = await crash_with_a_run(house)
    for _ in range(5):
        async with house.crashing():
            await trio.sleep(3)
    async with house.running():
        assert (await house.ended(job)).status is JobStatus.COMPLETED
        assert house.broken() == []
    assert len(house.host.launches) == 1


async def test_a_crashed_executor_finds_its_runs_again(long: House) -> None:
    async with long.running():
        (job,) = await long.submit("a")
        await trio.sleep(5)
        await long.mailbox("executor").tell(m.TimerFired())  # a bug: not for him
        await trio.sleep(5)
        assert len(long.host.launches) == 1
        long.host.processes[0].end(0)
        assert (await long.ended(job)).status is JobStatus.COMPLETED
        assert long.broken() == []


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


async def test_being_told_again_brings_the_reason_to_stop(long: House) -> None:
    async with long.running() as context:
        (job,) = await long.submit("a")
        await trio.sleep(5)
        long.headway._connections.writing.execute("UPDATE job_runs SET stop_reason = 'cancel'")
        await context.scheduler.tell(m.GetMetrics())  # a bug: the scheduler starts anew
        await trio.sleep(60)
        assert long.job(job).status is JobStatus.CANCELLED
