"""Artifacts are collected beside the slots: late, again after a crash, and never in the way.

The whole server on virtual time; what is collected is real files.
"""

import os
from typing import Any

import pytest
import trio

from actors import messages as m
from actors.run.collector import QUICK_S
from headway.model.job import JobStatus
from headway.model.run import RunError
from storage.runs import NOT_COUNTED, TOO_MUCH_LEFT
from tests.actors.house import House
from tests.actors.run.collecting import LATE_S, ONCE, collected, shown, until
from tests.deep_tree import nest


def kinds_of(house: House, job: Any) -> list[str]:
    return [kind for kind in house.kinds(job) if kind.startswith("run.")]


async def test_what_is_quick_is_there_when_the_run_has_ended(leaving: Any) -> None:
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        run = leaving.run(job)
        assert shown(run) == [("story.md", ONCE, True)]
        assert (run.collection.complete, run.collection.reason) == (True, None)
        assert "run.collected" not in kinds_of(leaving, job)


async def test_what_is_slow_delays_neither_its_run_nor_the_next(leaving: Any, slow: Any) -> None:
    async with leaving.running():
        job, after = await leaving.submit("a", "b")
        began = trio.current_time()
        await leaving.ended(job)
        assert trio.current_time() - began == pytest.approx(2.5 + QUICK_S)
        run = leaving.run(job)
        assert run.duration_s == 2.5
        assert (shown(run), run.collection.complete, run.collection.reason) == ([], False, None)
        await leaving.ended(after)
        assert trio.current_time() - began < LATE_S, "the slot was free"
        run = await collected(leaving, job)
        assert shown(run) == [("story.md", ONCE, True)]
        assert (run.collection.complete, run.collection.reason) == (True, None)
        assert kinds_of(leaving, job)[-3:] == ["run.finished", "run.collected", "run.collected"]
        assert leaving.broken() == []


async def test_the_list_is_shown_before_its_checksums(leaving: Any, slow: Any) -> None:
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await until(lambda: "run.collected" in kinds_of(leaving, job))
        run = leaving.run(job)
        assert shown(run) == [("story.md", None, True)]
        assert not run.collection.complete
        assert shown(await collected(leaving, job)) == [("story.md", ONCE, True)]


async def test_what_is_small_and_late_does_not_queue_behind_what_is_slow(
    leaving: Any, slow: Any
) -> None:
    """Two collections take for ever; a third was late by chance."""
    leaving.concurrency = 2
    slow.late_s = 1.0
    async with leaving.running():
        large = await leaving.submit("a", "a")
        for job in large:
            await leaving.ended(job)
        await until(lambda: all("run.collected" in kinds_of(leaving, job) for job in large))
        slow.late_s = None
        await trio.sleep(5)
        slow.late_s = 0.2
        leaving.host.programs["b"] = leaving.host.programs["a"]
        (small,) = await leaving.submit("b")
        await leaving.ended(small)
        await trio.sleep(1)
        run = leaving.run(small)
        assert (shown(run), run.collection.complete) == ([("story.md", ONCE, True)], True)
        assert kinds_of(leaving, small)[-2:] == ["run.finished", "run.collected"]
        assert not any(leaving.run(job).collection.complete for job in large)


async def test_runs_that_leave_nothing_cost_no_call(house: House, slow: Any) -> None:
    async with house.running():
        await house.settled()
        before = slow.calls
        (job,) = await house.submit("a")
        await house.ended(job)
        assert house.run(job).collection.complete
        assert slow.calls == before


async def test_the_end_of_the_server_does_not_wait_for_it(leaving: Any, slow: Any) -> None:
    slow.late_s = None
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        ended = trio.current_time()
    assert trio.current_time() == ended
    slow.late_s = 0.0
    async with leaving.running():
        run = await collected(leaving, job)
    assert (shown(run), run.collection.complete) == ([("story.md", ONCE, True)], True)


@pytest.mark.parametrize("after_s", [0.0, LATE_S + 1, 2 * LATE_S + 1, 3 * LATE_S + 1])
async def test_a_killed_server_leaves_it_to_the_next(
    leaving: Any, slow: Any, after_s: float
) -> None:
    """Before it is listed, when it is listed, when some of it was removed, when all is done."""
    leaving.host.programs["a"].artifacts = dict.fromkeys(("a", "b", "c"), b"once")
    leaving.types["a"] = leaving.types["a"].model_copy(update={"artifact_limit_files": 1})
    async with leaving.crashing():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        await trio.sleep(after_s)
    async with leaving.running():
        run = await collected(leaving, job)
        assert shown(run) == [("a", ONCE, True), ("b", None, False), ("c", None, False)]
        assert str(run.collection.reason).startswith("2 files were not kept")
        assert os.listdir(leaving.path / "runs" / run.run_id / "artifacts") == ["a"]
        assert leaving.broken() == []


@pytest.mark.parametrize("actor", ["executor", "scheduler"])
async def test_a_crashed_actor_goes_on_with_it(leaving: Any, slow: Any, actor: str) -> None:
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        await trio.sleep(1)
        nonsense = m.StopRun(run_id="run-none", reason="cancel")
        await leaving.mailbox(actor).tell(m.TimerFired() if actor == "executor" else nonsense)
        run = await collected(leaving, job)
    assert (shown(run), run.collection.complete) == ([("story.md", ONCE, True)], True)


async def test_what_is_told_twice_is_noted_once(leaving: Any, slow: Any) -> None:
    async with leaving.running() as context:
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        run = await collected(leaving, job)
        before = leaving.seqs()
        again = m.RunCollected(run_id=run.run_id, artifacts=(), reason="no")
        await context.scheduler.tell(again)
        await leaving.settled()
        assert leaving.seqs() == before
        assert leaving.run(job) == run


async def test_a_next_server_removes_what_was_put_aside(house: House) -> None:
    left = house.path / "runs" / ".trash" / "7"
    left.mkdir(parents=True)
    nest(left)
    async with house.running():
        await house.settled()
    assert os.listdir(house.path / "runs" / ".trash") == []


async def test_what_is_beyond_the_limits_is_listed_and_removed(leaving: Any) -> None:
    leaving.host.programs["a"].artifacts = dict.fromkeys(("a", "b", "c"), b"once")
    leaving.types["a"] = leaving.types["a"].model_copy(update={"artifact_limit_files": 2})
    async with leaving.running():
        (job,) = await leaving.submit("a")
        job = await leaving.ended(job)
        run = leaving.run(job)
        assert job.status is JobStatus.COMPLETED
        assert shown(run) == [("a", ONCE, True), ("b", ONCE, True), ("c", None, False)]
        assert not run.collection.complete
        again = await collected(leaving, job)
        assert (shown(again), again.collection) == (shown(run), run.collection)
        assert sorted(os.listdir(leaving.path / "runs" / run.run_id / "artifacts")) == ["a", "b"]
        assert leaving.broken() == []


@pytest.mark.parametrize(
    ("late_s", "reason"), [(0.0, TOO_MUCH_LEFT), (1.0, TOO_MUCH_LEFT), (LATE_S * 2, NOT_COUNTED)]
)
async def test_a_type_may_fail_beyond_its_limits(
    leaving: Any, slow: Any, late_s: float, reason: RunError
) -> None:
    """Also when they cannot be counted in time."""
    slow.late_s = late_s
    leaving.types["a"] = leaving.types["a"].model_copy(
        update={"artifact_limit_files": 0, "on_artifact_limit": "fail"}
    )
    async with leaving.running():
        (job,) = await leaving.submit("a")
        job = await leaving.ended(job)
        run = await collected(leaving, job)
    assert (job.status, run.error.code) == (JobStatus.FAILED, "output_limit")
    assert job.reason == reason.message
    assert shown(run) == [("story.md", None, False)]
    assert (run.exit_code, run.duration_s) == (0, 2.5)


async def test_such_a_run_does_not_hold_up_the_end_of_the_server(leaving: Any, slow: Any) -> None:
    slow.late_s = None
    leaving.types["a"] = leaving.types["a"].model_copy(update={"on_artifact_limit": "fail"})
    async with leaving.running() as context:
        (job,) = await leaving.submit("a")
        await trio.sleep(3)
        assert leaving.job(job).status is JobStatus.RUNNING
        begun = trio.current_time()
        await context.ask(m.StopRuns(immediately=False))
        job = await leaving.ended(job)
        assert trio.current_time() - begun < 1
    assert (job.status, job.reason) == (JobStatus.FAILED, NOT_COUNTED.message)


async def test_a_report_that_is_too_long_may_fail_its_run(house: House, program: Any) -> None:
    report = b'{"result": 1}\n' + b" " * 5000 + b'\n{"result": 2}\n'
    house.host.programs["a"] = program(report=report)
    for on_limit, status in (("drop", JobStatus.COMPLETED), ("fail", JobStatus.FAILED)):
        house.types["a"] = house.types["a"].model_copy(
            update={"report_limit_bytes": 4096, "on_artifact_limit": on_limit}
        )
        async with house.running():
            (job,) = await house.submit("a")
            job = await house.ended(job)
            run = house.run(job)
        assert (job.status, run.result) == (status, 2)
        assert str(run.collection.reason).startswith(f"its report has {len(report)} bytes")
        assert not run.collection.complete
