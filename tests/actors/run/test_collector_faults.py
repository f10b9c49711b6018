"""Artifacts that cannot be collected: the reason is recorded on the run."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
import trio

from actors.run import collector as collectors
from actors.run.collector import CHECKSUMS_S, LIST_S, LOOK_AGAIN_S, reason_of
from actors.runner import StopFlag
from headway.model.job import JobStatus
from tests.actors.run.collecting import ONCE, collected, shown


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
