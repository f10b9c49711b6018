"""The ring: facts in order, each once; waiters woken; too old a cursor is told so."""

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from actors import feed as feed_module
from actors.feed import Feed
from storage.transaction import Fact


def fact(seq: int, job_id: str | None = None, run_id: str | None = None) -> Fact:
    return Fact(seq=seq, at=0, kind="job.due", job_id=job_id, run_id=run_id, data="{}")


def facts(*seqs: int) -> list[Fact]:
    return [fact(seq) for seq in seqs]


@pytest.fixture
def feed() -> Feed:
    return Feed()


async def test_what_is_new_to_the_reader(feed: Feed) -> None:
    feed.publish(facts(1, 2, 3))
    assert await feed.beyond(1) == facts(2, 3)
    assert await feed.beyond(0) == facts(1, 2, 3)


async def test_a_reader_waits_for_the_next(feed: Feed) -> None:
    feed.publish(facts(1))
    got: list[Any] = []

    async def read() -> None:
        got.append(await feed.beyond(1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        assert got == []
        feed.publish(facts(2))
    assert got == [facts(2)] * 2


async def test_what_is_here_already_is_passed_over(feed: Feed) -> None:
    feed.publish(facts(1, 2))
    feed.publish(facts(1, 2, 3))
    feed.publish(facts(2))
    assert await feed.beyond(0) == facts(1, 2, 3)
    assert feed.last_seq == 3


async def test_too_old_a_cursor_is_sent_to_the_table(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "KEPT_FACTS", 3)
    small = Feed()
    small.publish(facts(1, 2, 3, 4, 5))
    assert await small.beyond(1) is None
    assert await small.beyond(2) == facts(3, 4, 5)


async def test_a_feed_that_begins_late_is_sent_to_the_table(feed: Feed) -> None:
    feed.last_seq = 7
    assert await feed.beyond(3) is None
    feed.publish(facts(8))
    assert await feed.beyond(6) is None
    assert await feed.beyond(7) == facts(8)


@given(st.lists(st.integers(1, 5), max_size=8), st.data())
def test_a_cursor_gets_what_lies_behind_it(sizes: list[int], data: st.DataObject) -> None:
    ring = Feed()
    for size in sizes:
        ring.publish(facts(*range(ring.last_seq + 1, ring.last_seq + size + 1)))
    if ring.last_seq:
        seq = data.draw(st.integers(0, ring.last_seq - 1))
        got = trio.run(ring.beyond, seq)
        assert got == facts(*range(seq + 1, ring.last_seq + 1))


async def test_a_gap_is_read_from_the_table(feed: Feed) -> None:
    feed.publish(facts(1, 2, 3))
    feed.publish(facts(6, 7))  # 4 and 5 were committed by a scheduler that crashed before telling
    assert await feed.beyond(3) is None
    assert await feed.beyond(5) == facts(6, 7)


async def test_behind_a_gap_everybody_looks_again(feed: Feed, autojump_clock: Any) -> None:
    with feed.subscribe("job-1") as news, trio.fail_after(1):
        feed.publish([fact(1)])
        feed.publish([fact(3)])  # the second may have been about any Job
        await news.wait()


async def test_a_subscription_hears_of_its_job_or_run_only(feed: Feed, autojump_clock: Any) -> None:
    with feed.subscribe("job-1") as by_job, feed.subscribe("run-1") as by_run:
        feed.publish([fact(1, "job-2", "run-2")])
        with trio.move_on_after(1) as scope:
            await by_job.wait()
        assert scope.cancelled_caught
        feed.publish([fact(2, "job-1", "run-1")])
        await by_job.wait()
        await by_run.wait()


async def test_a_fact_before_the_wait_is_not_missed(feed: Feed, autojump_clock: Any) -> None:
    with feed.subscribe("job-1") as news:
        feed.publish([fact(1, "job-1"), fact(2, "job-1")])
        with trio.fail_after(1):
            await news.wait()
        with trio.move_on_after(1) as scope:
            await news.wait()
        assert scope.cancelled_caught


async def test_nothing_is_left_of_a_subscription(feed: Feed) -> None:
    with feed.subscribe("job-1"), feed.subscribe("job-1"):
        assert len(feed._subscriptions["job-1"]) == 2
    assert not feed._subscriptions
