"""Event streams: every event once, in rounds that all streams share; missing ones are announced."""

import random
from typing import Any

import pytest
import trio
from pydantic_core import from_json

from actors import messages as m
from headway.model.problem import Refusal
from storage.events import Event, last_seq
from tests.web.resources.event_listener import Listener, soon
from web.context import Context
from web.resources import events
from web.resources.events import EVERYTHING, Wanted, begin, known_kinds
from web.streams import broadcaster
from web.streams.broadcaster import EVENTS_PER_PIECE_MAX, PAUSE_PER_STREAM_S
from web.streams.sse import HEARTBEAT_S


async def test_each_event_comes_once_in_order(listen: Any, queue: Any, context: Context) -> None:
    await queue(3)
    first = context.events.last_seq
    listener = await listen()
    for _ in range(5):
        await queue(2)
        await soon()
    assert listener.seqs == list(range(first + 1, first + 11))
    assert {event["kind"] for event in listener.events} == {"job.submitted"}
    assert listener.names[0] == "comment", "it greets when it listens"


async def test_a_stream_that_is_cut_goes_on_where_it_was(
    listen: Any, queue: Any, context: Context
) -> None:
    whole = await listen(after=0)
    chance = random.Random(5)
    last_id, pieces = 0, []
    for _ in range(12):
        await queue(chance.randrange(1, 5))
        with trio.CancelScope() as scope:
            part = Listener(begin(context, EVERYTHING, last_id, None))

            async def cut(scope: trio.CancelScope = scope) -> None:
                await trio.sleep(chance.random())
                scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(part.run)
                nursery.start_soon(cut)
        pieces += part.seqs
        last_id = part.last_id
    await soon()
    assert pieces == [seq for seq in whole.seqs if seq <= last_id]
    assert pieces[-1] == context.events.last_seq


async def test_the_table_and_the_ring_join_without_a_seam(
    listen: Any, queue: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcaster, "EVENTS_PER_PIECE_MAX", 7)
    monkeypatch.setattr(events, "EVENTS_PER_READ_MAX", 7)
    await queue(50)
    context.events._ring.clear()
    await queue(5)
    slow = await listen(after=0, pause_s=0.5)
    await queue(30)
    await trio.sleep(60)
    assert slow.seqs == list(range(1, context.events.last_seq + 1))


async def test_a_slow_reader_holds_nobody_up(listen: Any, queue: Any) -> None:
    slow, quick = await listen(pause_s=1_000), await listen()
    await queue(3)
    await soon()
    assert len(quick.events) == 3
    assert slow.events == []
    await trio.sleep(5_000)
    assert slow.events == quick.events


@pytest.mark.parametrize("how", ["live", "ring", "table"])
async def test_a_stream_tells_only_what_is_wanted(
    listen: Any, queue: Any, context: Context, submit: Any, programs: Any, how: str
) -> None:
    filters = [
        Wanted(kinds=("run.",)),
        Wanted(kinds=("job.cancelled", "run.finished")),
        Wanted(types=frozenset({"a"})),
        Wanted(types=frozenset({"b"})),
    ]
    live = [await listen(wanted) for wanted in filters] if how == "live" else []
    begin_at = context.events.last_seq
    every = await listen(after=begin_at)
    job = await submit()
    (other,) = await queue()
    await context.ask(m.CancelJob(job_id=other))
    await trio.sleep(5)
    programs.processes[0].end()
    await soon()
    if how == "table":
        context.events._ring.clear()
    filters.append(Wanted(job_id=job.job_id))
    later = [await listen(wanted, after=begin_at) for wanted in filters[len(live) :]]
    await soon()
    runs, ends, of_a, of_b, of_job = (listener.events for listener in [*live, *later])
    assert [event["kind"] for event in ends] == ["job.cancelled", "run.finished"]
    assert runs == [event for event in every.events if event["kind"].startswith("run.")]
    assert of_a == every.events, "every event about a Job or run tells its type"
    assert of_b == []
    assert of_job == [event for event in every.events if event["job_id"] == job.job_id]
    assert "run.process" in [event["kind"] for event in of_job]


async def test_what_is_passed_over_moves_the_place_too(
    listen: Any, queue: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SEND_POSITION_AFTER_EVENTS", 10)
    listener = await listen(Wanted(kinds=("run.",)))
    begun_at = listener.last_id
    for _ in range(9):
        await queue()
        await soon()
    assert listener.last_id == begun_at
    await queue()
    await soon()
    assert listener.last_id == context.events.last_seq
    await queue()
    await trio.sleep(HEARTBEAT_S * 2)
    assert listener.last_id == context.events.last_seq, "a heartbeat tells the place as well"
    assert listener.events == []


def test_a_kind_that_does_not_exist_is_refused() -> None:
    assert known_kinds(["run.", "job.due"]) == ("run.", "job.due")
    for wrong in ("run", "runs.", "job.dues", "", ".", "r"):
        with pytest.raises(Refusal, match="no kind of event") as caught:
            known_kinds(["run.", wrong])
        assert "job.submitted" in caught.value.faults[0].message


async def test_too_old_a_place_is_reset(
    listen: Any, queue: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RESET_BEYOND_EVENTS", 10)
    await queue(20)
    now = context.events.last_seq
    old, young = await listen(last_id=now - 11), await listen(last_id=now - 10)
    history = await listen(last_id=2, after=0)
    await queue()
    await soon()
    assert old.names[1:] == ["comment", "reset", "job.submitted"]
    assert from_json(old.sent[2].data) == {"seq": now}
    assert old.sent[2].id == str(now)
    assert old.seqs == [now + 1]
    assert young.seqs == list(range(now - 9, now + 2))
    assert history.seqs == list(range(3, now + 2)), "who wants all from a place on gets it"


@pytest.mark.parametrize("given", [{"last_id": 10**9}, {"after": 10**9}])
async def test_a_place_that_was_never_reached_is_reset(
    listen: Any, queue: Any, context: Context, given: Any
) -> None:
    await queue()
    now = last_seq(context.reader)
    listener = await listen(**given)
    await queue()
    await soon()
    assert "reset" in listener.names
    assert listener.seqs == [now + 1]


async def test_all_streams_share_one_heartbeat(listen: Any, context: Context) -> None:
    listeners = []
    for _ in range(20):
        listeners.append(await listen())
        await trio.sleep(HEARTBEAT_S / 50)
    before = context.broadcaster.beats
    await trio.sleep(HEARTBEAT_S * 4)
    assert context.broadcaster.beats - before == 4
    assert {len(listener.pieces) for listener in listeners} == {5}


async def test_nobody_listens_and_nothing_beats(context: Context) -> None:
    await trio.sleep(HEARTBEAT_S * 20)
    assert context.broadcaster.beats == 0


async def test_many_streams_get_many_events_in_few_pieces(
    listen: Any, queue: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = broadcaster.encode

    def encode(event: Event) -> broadcaster.EncodedEvent:
        made.append(event.seq)
        return real(event)

    monkeypatch.setattr(broadcaster, "encode", encode)
    listeners = [await listen() for _ in range(400)]
    for _ in range(50):
        await queue()
        await trio.sleep(0.004)
    await soon()
    rounds = 50 * 0.004 / (400 * PAUSE_PER_STREAM_S)
    assert {len(listener.events) for listener in listeners} == {50}
    assert max(len(listener.pieces) for listener in listeners) <= 1 + rounds + 2
    assert sorted(made) == sorted(set(made)), "an event is put into bytes once, for all of them"


async def test_a_single_stream_hardly_waits(listen: Any, queue: Any) -> None:
    listener = await listen()
    await queue()
    await trio.sleep(0.002)
    assert len(listener.events) == 1


async def test_a_draining_server_tells_all_and_says_goodbye(
    listen: Any, queue: Any, context: Context
) -> None:
    listeners = [await listen() for _ in range(30)]
    await queue(3)
    context.draining.set()
    late = await listen(after=0)
    await soon()
    for listener in [*listeners, late]:
        assert listener.names[-1] == "goodbye"
        assert listener.last_id == context.events.last_seq
    assert all(len(listener.events) == 3 for listener in listeners)


async def test_a_piece_is_bounded(listen: Any, queue: Any, context: Context) -> None:
    listener = await listen()
    await queue(2 * EVENTS_PER_PIECE_MAX + 1)
    await trio.sleep(5)
    assert len(listener.events) == 2 * EVENTS_PER_PIECE_MAX + 1
    assert max(piece.count(b"\nid: ") for piece in listener.pieces) <= EVENTS_PER_PIECE_MAX
