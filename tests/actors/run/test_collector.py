"""Artifacts are collected beside the slots: late, again after a crash, and never in the way.

The whole server on virtual time; what is collected is real files.
"""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import messages as m
from actors.run import collector as collectors
from actors.run.collector import CHECKSUMS_S, LIST_S, LOOK_AGAIN_S, PATIENCE_S, reason_of
from actors.runner import StopFlag
from headway.model.job import JobStatus
from headway.model.run import RunError
from storage.collections import unfinished
from storage.database import DATABASE_NAME, open_writer
from storage.runs import NOT_COUNTED, TOO_MUCH_LEFT, request_stop
from storage.transaction import write_transaction
from tests.actors.house import House
from tests.deep_tree import nest

pytestmark = pytest.mark.usefixtures("hostile")

ONCE = hashlib.sha256(b"once").hexdigest()
LATE_S = 10.0


class SlowPool:
    """Each call waits `late_s` for its thread (None: for ever); then `refuse` may raise."""

    def __init__(self, late_s: float | None = LATE_S) -> None:
        self.late_s = late_s
        self.refuse: Callable[[], None] = lambda: None
        self.calls = 0

    async def run(self, work: Callable[[StopFlag], Any]) -> Any:
        await trio.lowlevel.checkpoint()
        self.calls += 1
        if self.late_s is None:
            await trio.sleep_forever()
        await trio.sleep(self.late_s or 0)
        if getattr(work, "__name__", "") != "empty":  # the trash, which is emptied at any time
            self.refuse()
        return work(StopFlag())


@pytest.fixture
def slow(house: House) -> SlowPool:
    house.collectors = SlowPool()
    pool: SlowPool = house.collectors
    return pool


@pytest.fixture
def leaving(house: House, program: Any) -> Any:
    """Programs of type a leave an artifact."""
    house.host.programs["a"] = program(lasts_s=2.5, artifacts={"story.md": b"once"})
    return house


async def collected(house: House, job: Any) -> Any:
    """The run, when nothing of its artifacts is still to come."""
    await until(
        lambda: house.job(job).status is not JobStatus.RUNNING and not unfinished(house.reader)
    )
    return house.run(job)


async def until(reached: Callable[[], bool]) -> None:
    with trio.fail_after(1e6):
        while not reached():  # noqa: ASYNC110 - on virtual time nothing else comes in between
            await trio.sleep(1)


def told(house: House, job: Any) -> list[str]:
    return [kind for kind in house.kinds(job) if kind.startswith("run.")]


def shown(run: Any) -> list[tuple[str, str | None, bool]]:
    return [(one.name, one.sha256, one.kept) for one in run.artifacts]


# ---- when --------------------------------------------------------------------------------------


async def test_what_is_quick_is_there_when_the_run_has_ended(leaving: Any) -> None:
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        run = leaving.run(job)
        assert shown(run) == [("story.md", ONCE, True)]
        assert (run.collection.complete, run.collection.reason) == (True, None)
        assert "run.collected" not in told(leaving, job)


async def test_what_is_slow_delays_neither_its_run_nor_the_next(leaving: Any, slow: Any) -> None:
    async with leaving.running():
        job, after = await leaving.submit("a", "b")
        began = trio.current_time()
        await leaving.ended(job)
        assert trio.current_time() - began == pytest.approx(2.5 + PATIENCE_S)
        run = leaving.run(job)
        assert run.duration_s == 2.5
        assert (shown(run), run.collection.complete, run.collection.reason) == ([], False, None)
        await leaving.ended(after)
        assert trio.current_time() - began < LATE_S, "the slot was free"
        run = await collected(leaving, job)
        assert shown(run) == [("story.md", ONCE, True)]
        assert (run.collection.complete, run.collection.reason) == (True, None)
        assert told(leaving, job)[-3:] == ["run.finished", "run.collected", "run.collected"]
        assert leaving.broken() == []


async def test_the_list_is_shown_before_its_checksums(leaving: Any, slow: Any) -> None:
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await until(lambda: "run.collected" in told(leaving, job))
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
        await until(lambda: all("run.collected" in told(leaving, job) for job in large))
        slow.late_s = None
        await trio.sleep(5)
        slow.late_s = 0.2
        leaving.host.programs["b"] = leaving.host.programs["a"]
        (small,) = await leaving.submit("b")
        await leaving.ended(small)
        await trio.sleep(1)
        run = leaving.run(small)
        assert (shown(run), run.collection.complete) == ([("story.md", ONCE, True)], True)
        assert told(leaving, small)[-2:] == ["run.finished", "run.collected"]
        assert not any(leaving.run(job).collection.complete for job in large)


async def test_runs_that_leave_nothing_cost_no_call(house: House, slow: Any) -> None:
    async with house.running():
        await house.settled()
        before = slow.calls
        (job,) = await house.submit("a")
        await house.ended(job)
        assert house.run(job).collection.complete
        assert slow.calls == before


# ---- lives -------------------------------------------------------------------------------------


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


# ---- limits ------------------------------------------------------------------------------------


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


# ---- failures ----------------------------------------------------------------------------------


async def test_an_error_of_the_disk_is_the_reason(leaving: Any, slow: Any) -> None:
    slow.late_s = 0.0

    def refuse() -> None:
        raise OSError(errno.EIO, "Input/output error")

    slow.refuse = refuse
    async with leaving.running():
        (job,) = await leaving.submit("a")
        job = await leaving.ended(job)
        run = leaving.run(job)
    assert job.status is JobStatus.COMPLETED
    assert run.collection.reason == "its artifacts cannot be read: Input/output error"
    assert not run.collection.complete


@pytest.mark.parametrize("fails_at", [2, 3, 4])
async def test_what_was_listed_stays_listed_when_the_disk_fails_later(
    leaving: Any, slow: Any, fails_at: int
) -> None:
    """At the second listing, at the removal, at the checksums."""
    calls = 0

    def refuse() -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(errno.EIO, "Input/output error")

    leaving.host.programs["a"].artifacts = dict.fromkeys(("a", "b"), b"once")
    leaving.types["a"] = leaving.types["a"].model_copy(update={"artifact_limit_files": 1})
    slow.late_s = 1.0
    async with leaving.running():
        await trio.sleep(2)
        slow.refuse, calls = refuse, 1  # the first call was given up
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        run = await collected(leaving, job)
        there = sorted(os.listdir(leaving.path / "runs" / run.run_id / "artifacts"))
        names = [one.name for one in run.artifacts if one.kept]
        assert "its artifacts cannot be read: Input/output error" in str(run.collection.reason)
        if fails_at == 2:
            assert (run.artifacts, there) == ([], ["a", "b"]), "nothing that is not listed goes"
        else:
            assert names == ["a"]
            assert [one.name for one in run.artifacts if not one.kept] == ["b"]
        assert leaving.broken() == []


async def test_without_descriptors_it_waits_for_some(leaving: Any, slow: Any) -> None:
    slow.late_s = 0.0

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    slow.refuse = refuse
    async with leaving.running():
        (job,) = await leaving.submit("a")
        job = await leaving.ended(job)
        assert job.status is JobStatus.COMPLETED
        await trio.sleep(LIST_S * 10)
        run = leaving.run(job)
        assert (run.collection.complete, run.collection.reason) == (False, None)
        slow.refuse = lambda: None
        await trio.sleep(LOOK_AGAIN_S * 2)
        run = leaving.run(job)
    assert (shown(run), run.collection.complete) == ([("story.md", ONCE, True)], True)


async def test_an_error_of_ours_ends_neither_this_life_nor_the_next(
    leaving: Any, slow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(collectors, "list_artifacts", fail)
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        run = await collected(leaving, job)
        assert run.collection.reason == "headway failed to collect its artifacts: see its log"
        (after,) = await leaving.submit("b")
        assert (await leaving.ended(after)).status is JobStatus.COMPLETED


async def test_a_directory_that_has_gone_is_the_reason(leaving: Any, slow: Any) -> None:
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        root = leaving.path / "runs" / leaving.run(job).run_id
        root.rename(leaving.path / "elsewhere")
        run = await collected(leaving, job)
    assert run.collection.reason == "its directory is not there any more"


async def test_a_list_that_takes_too_long_is_given_up(leaving: Any, slow: Any) -> None:
    slow.late_s = None
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        run = await collected(leaving, job)
    assert run.collection.reason == "its artifacts could not be listed within 60 s"


async def test_checksums_that_take_too_long_stay_null(leaving: Any, slow: Any) -> None:
    slow.late_s = 1.0
    real = slow.run
    calls = 0

    async def run(work: Callable[[StopFlag], Any]) -> Any:
        nonlocal calls
        is_listing = "list_artifacts" in str(work)
        calls += is_listing
        if is_listing and calls > 1:  # the list comes first
            await trio.sleep(CHECKSUMS_S * 2)
        return await real(work)

    slow.run = run
    async with leaving.running():
        (job,) = await leaving.submit("a")
        await leaving.ended(job)
        ended = await collected(leaving, job)
    assert shown(ended) == [("story.md", None, True)]
    assert ended.collection.reason == "the checksums were not complete after 600 s"


def test_reasons_are_joined_once_and_bounded() -> None:
    assert reason_of(None, []) is None
    assert reason_of("a", ["a", "b", "b"]) == "a; b"
    assert len(str(reason_of(None, ["x" * 5000]))) == collectors.REASON_CHARACTERS_MAX


# ---- an end on record --------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["cancel", "shutdown"])
async def test_what_ended_by_itself_is_not_ended_by_what_comes_after(
    leaving: Any, slow: Any, reason: str
) -> None:
    """It is asked to end while its artifacts are looked at."""
    async with leaving.running() as context:
        (job,) = await leaving.submit("a")
        await trio.sleep(2.5 + PATIENCE_S / 2)
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
