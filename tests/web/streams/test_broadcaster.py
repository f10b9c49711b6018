"""A round of events to many streams gives way to requests, for a while."""

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.event_buffer import EventBuffer
from headway.model.event import EventView
from headway.model.field import from_us
from storage.events import Event
from web.api.request_priority import RequestPriority
from web.streams.broadcaster import PATIENCE_S, WOKEN_AT_ONCE, Broadcaster, encode

STREAMS = 3 * WOKEN_AT_ONCE


@pytest.fixture
async def waiting(autojump_clock: MockClock, nursery: trio.Nursery) -> AsyncIterator[Any]:
    """Streams that wait for a round; `woken` of them have had it."""
    events, request_priority = EventBuffer(), RequestPriority()
    broadcaster = Broadcaster(events, trio.Event(), request_priority)
    world = SimpleNamespace(events=events, request_priority=request_priority, woken=0)

    async def stream() -> None:
        await broadcaster.wait()
        world.woken += 1

    for _ in range(STREAMS):
        nursery.start_soon(stream)
    await nursery.start(broadcaster.run)
    await wait_all_tasks_blocked()
    yield world
    nursery.cancel_scope.cancel()


def event() -> Event:
    return Event(seq=1, at=0, kind="job.submitted", job_id="job-1", run_id=None, data="{}")


async def test_a_round_stops_for_a_request_and_goes_on_after_it(waiting: Any) -> None:
    with waiting.request_priority:
        waiting.events.publish([event()])
        await wait_all_tasks_blocked()
        assert waiting.woken == WOKEN_AT_ONCE
    await wait_all_tasks_blocked()
    assert waiting.woken == STREAMS


async def test_requests_without_end_delay_a_round_only_so_long(waiting: Any) -> None:
    with waiting.request_priority:
        waiting.events.publish([event()])
        await trio.sleep(PATIENCE_S * 1.01)
        assert waiting.woken == STREAMS


def test_an_event_is_sent_as_the_contract_defines_it() -> None:
    """Its data is what the transaction encoded, byte for byte."""
    data = '{"type":"\\u2028 é","n":1.50}'
    event = Event(7, 1_800_000_000_000_001, "job.due", "job-1", None, data, "key-1")
    shown = encode(event)
    assert (shown.seq, shown.kind, shown.job_id, shown.type) == (7, "job.due", "job-1", "\u2028 é")
    name, number, text = shown.wire.decode().removesuffix("\n\n").split("\n")
    assert (name, number) == ("event: job.due", "id: 7")
    assert data in text
    assert EventView.model_validate_json(text.removeprefix("data: ")) == EventView(
        seq=7,
        at=from_us(event.at),
        kind="job.due",
        job_id="job-1",
        run_id=None,
        actor="key-1",
        data=json.loads(data),
    )
