"""The event buffer: events in order, each once; waiters are woken; old cursors are refused."""

from itertools import count
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json
from trio.testing import wait_all_tasks_blocked

from actors import event_buffer as module
from actors.event_buffer import EventBuffer
from headway.model.job import Progress
from storage.events import Event, EventKind


def event(seq: int, job_id: str | None = None, run_id: str | None = None) -> Event:
    return Event(seq=seq, at=0, kind="job.due", job_id=job_id, run_id=run_id, data="{}")


def events(*seqs: int) -> list[Event]:
    return [event(seq) for seq in seqs]


@pytest.fixture
def ring() -> EventBuffer:
    return EventBuffer()


async def test_what_is_new_to_the_reader(ring: EventBuffer) -> None:
    ring.publish(events(1, 2, 3))
    assert await ring.beyond(1) == events(2, 3)
    assert await ring.beyond(0) == events(1, 2, 3)


async def test_a_reader_waits_for_the_next(ring: EventBuffer) -> None:
    ring.publish(events(1))
    got: list[Any] = []

    async def read() -> None:
        got.append(await ring.beyond(1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        assert got == []
        ring.publish(events(2))
    assert got == [events(2)] * 2


async def test_what_is_here_already_is_passed_over(ring: EventBuffer) -> None:
    ring.publish(events(1, 2))
    ring.publish(events(1, 2, 3))
    ring.publish(events(2))
    assert await ring.beyond(0) == events(1, 2, 3)
    assert ring.last_seq == 3


async def test_too_old_a_cursor_is_sent_to_the_table(
    ring: EventBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_EVENTS", 3)
    small = EventBuffer()
    small.publish(events(1, 2, 3, 4, 5))
    assert await small.beyond(1) is None
    assert await small.beyond(2) == events(3, 4, 5)


async def test_a_buffer_that_begins_late_sends_to_the_table(ring: EventBuffer) -> None:
    ring = EventBuffer(last_seq=7)
    assert await ring.beyond(3) is None
    ring.publish(events(8))
    assert await ring.beyond(6) is None
    assert await ring.beyond(7) == events(8)


def test_no_event_may_be_missing(ring: EventBuffer) -> None:
    ring.publish(events(1))
    with pytest.raises(AssertionError, match="event 2 is missing"):
        ring.publish(events(3))


@given(st.lists(st.integers(1, 5), max_size=8), st.data())
def test_a_cursor_gets_what_lies_behind_it(sizes: list[int], data: st.DataObject) -> None:
    ring = EventBuffer()
    for size in sizes:
        ring.publish(events(*range(ring.last_seq + 1, ring.last_seq + size + 1)))
    if ring.last_seq:
        seq = data.draw(st.integers(0, ring.last_seq - 1))
        got = trio.run(ring.beyond, seq)
        assert got == events(*range(seq + 1, ring.last_seq + 1))


async def test_a_subscription_hears_of_its_job_or_run_only(
    ring: EventBuffer, autojump_clock: Any
) -> None:
    with ring.subscribe("job-1") as by_job, ring.subscribe("run-1") as by_run:
        ring.publish([event(1, "job-2", "run-2")])
        with trio.move_on_after(1) as scope:
            await by_job.wait()
        assert scope.cancelled_caught
        ring.publish([event(2, "job-1", "run-1")])
        await by_job.wait()
        await by_run.wait()


async def test_an_event_before_the_wait_is_not_missed(
    ring: EventBuffer, autojump_clock: Any
) -> None:
    with ring.subscribe("job-1") as news:
        ring.publish([event(1, "job-1"), event(2, "job-1")])
        with trio.fail_after(1):
            await news.wait()
        with trio.move_on_after(1) as scope:
            await news.wait()
        assert scope.cancelled_caught


async def test_nothing_is_left_of_a_subscription(ring: EventBuffer) -> None:
    with ring.subscribe("job-1"), ring.subscribe("job-1"):
        assert len(ring._subscriptions["job-1"]) == 2
    assert not ring._subscriptions


# ---- live --------------------------------------------------------------------------------------

HALF, MORE = Progress(fraction=0.5, message=None), Progress(fraction=0.6, message="more")


def make_event(seq: int, kind: EventKind, job_id: str, **data: Any) -> Event:
    text = to_json(data).decode()
    return Event(seq=seq, at=0, kind=kind, job_id=job_id, run_id=f"run of {job_id}", data=text)


def live(
    ring: EventBuffer, number: int = 0, seq: int | None = None
) -> list[tuple[str | None, Any]]:
    found = ring.live_after(number, ring.last_seq if seq is None else seq)
    return [
        (one.job_id, Progress(fraction=one.data["fraction"], message=one.data["message"]))
        for one in found
    ]


def test_of_each_job_only_the_newest_is_live(ring: EventBuffer) -> None:
    for job_id, progress in (("1", HALF), ("2", HALF), ("1", MORE)):
        ring.report(job_id, f"run of {job_id}", "a", progress, 0)
    assert live(ring) == [("2", HALF), ("1", MORE)]
    assert live(ring, number=2) == [("1", MORE)]
    assert live(ring, number=3) == []
    assert (ring.progress("1"), ring.progress("3")) == (MORE, None)


def test_what_is_live_ends_with_its_run(ring: EventBuffer) -> None:
    ring.report("1", "run-1", "a", HALF, 0)
    ring.publish([make_event(1, "run.finished", "1")])
    assert live(ring) == []
    assert ring.progress("1") is None


def test_what_is_stored_is_no_longer_live(ring: EventBuffer) -> None:
    ring.report("1", "run-1", "a", HALF, 0)
    ring.publish([make_event(1, "job.progress", "1", fraction=0.5, message=None)])
    assert live(ring) == []


def test_what_is_newer_than_what_was_stored_is_told_again(ring: EventBuffer) -> None:
    ring.report("1", "run-1", "a", MORE, 0)
    number = ring.last_live
    ring.publish([make_event(1, "job.progress", "1", fraction=0.5, message=None)])
    assert live(ring, number) == [("1", MORE)]


def test_who_has_not_read_of_the_start_does_not_see_the_progress(ring: EventBuffer) -> None:
    ring.publish([make_event(1, "run.started", "1")])
    ring.report("1", "run-1", "a", HALF, 0)
    assert live(ring, seq=0) == []
    assert live(ring, seq=1) == [("1", HALF)]


async def test_a_report_wakes_who_waits_for_any_change(ring: EventBuffer, nursery: Any) -> None:
    woken = []

    async def wait() -> None:
        await ring.changed(ring.last_seq, ring.last_live)
        woken.append(True)

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    ring.report("1", "run-1", "a", HALF, 0)
    await wait_all_tasks_blocked()
    assert woken == [True]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "report", "report", "store", "end", "read", "read"]),
        st.sampled_from("12"),
        st.integers(1, 9),
    ),
    max_size=60,
)


@given(STEPS)
def test_a_reader_sees_the_newest_between_start_and_end(steps: list[tuple[str, str, int]]) -> None:
    ring, seq = EventBuffer(), count(1)
    newest: dict[str, float] = {}
    kept: dict[str, float] = {}
    seen: dict[str, float | None] = {}  # of what runs, as the reader knows it
    place, number = 0, 0

    def read(pieces: int) -> None:
        nonlocal place, number
        for event in ring.after(place, limit=pieces) or [] if ring.last_seq > place else []:
            place = event.seq
            if event.kind == "run.started":
                seen[str(event.job_id)] = None
            elif event.kind == "run.finished":
                del seen[str(event.job_id)]
            else:
                seen[str(event.job_id)] = from_json(event.data)["fraction"]
        for one in ring.live_after(number, place) if place == ring.last_seq else []:
            number = one.number
            assert one.job_id in seen
            seen[str(one.job_id)] = one.data["fraction"]

    for step, job_id, n in steps:
        if step == "start" and job_id not in newest:
            newest[job_id] = 0.0
            ring.publish([make_event(next(seq), "run.started", job_id)])
        elif step == "report" and job_id in newest:
            newest[job_id] += n / 1000
            progress = Progress(fraction=newest[job_id], message=None)
            ring.report(job_id, "run", "a", progress, 0)
            kept.setdefault(job_id, newest[job_id])  # on its way to the disk
        elif step == "store" and job_id in kept:
            fraction = kept.pop(job_id)
            ring.publish(
                [make_event(next(seq), "job.progress", job_id, fraction=fraction, message=None)]
            )
        elif step == "end" and job_id in newest:
            del newest[job_id]
            kept.pop(job_id, None)
            ring.publish([make_event(next(seq), "run.finished", job_id)])
        elif step == "read":
            read(n)
    read(1_000)
    assert {job_id: fraction or 0.0 for job_id, fraction in seen.items()} == newest
