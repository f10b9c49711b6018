"""Every committed event is published once and in order, whatever crashes after its commit."""

from typing import Any

import pytest
import trio

from actors import messages as m
from actors.actor import Mailbox
from actors.event_buffer import EventBuffer
from actors.publisher import Publisher
from headway.model.field import from_us
from storage.events import Event, events_after
from storage.transaction import write_transaction
from tests.actors.desk import Desk
from tests.actors.house import House


def commit(desk: Desk, n: int) -> list[Event]:
    """Append so many events; what was committed."""
    with write_transaction(desk.connection, desk.now) as tx:
        for _ in range(n):
            tx.emit("scheduler.started")
    return tx.events


@pytest.fixture
def events() -> EventBuffer:
    return EventBuffer()


@pytest.fixture
async def mailbox(
    desk: Desk, events: EventBuffer, nursery: Any, monkeypatch: pytest.MonkeyPatch
) -> Mailbox:
    """That of a publisher which runs."""
    monkeypatch.setattr("actors.publisher.EVENTS_AT_ONCE", 3)
    mailbox = Mailbox("publisher", 10)
    publisher = Publisher(mailbox, events=events, reader=desk.connection)
    await nursery.start(publisher.run)
    return mailbox


async def published(events: EventBuffer, seq: int) -> list[Event] | None:
    """All that is there once the event with this number is."""
    with trio.fail_after(5):
        await events.wait_beyond(seq - 1)
    return events.after(0)


async def test_a_large_commit_is_published_in_order(
    desk: Desk, events: EventBuffer, mailbox: Mailbox
) -> None:
    committed = commit(desk, 8)
    await mailbox.tell(m.EventsCommitted(events=tuple(committed)))
    assert await published(events, 8) == committed


async def test_a_message_that_comes_twice_is_published_once(
    desk: Desk, events: EventBuffer, mailbox: Mailbox
) -> None:
    committed = commit(desk, 2)
    for _ in range(2):
        await mailbox.tell(m.EventsCommitted(events=tuple(committed)))
    (more,) = commit(desk, 1)
    await mailbox.tell(m.EventsCommitted(events=(more,)))
    assert await published(events, 3) == [*committed, more]


async def test_what_a_crashed_scheduler_did_not_send_is_read_from_the_table(
    desk: Desk, events: EventBuffer, mailbox: Mailbox
) -> None:
    unsent = commit(desk, 7)
    (sent,) = commit(desk, 1)
    await mailbox.tell(m.EventsCommitted(events=(sent,)))
    assert await published(events, 8) == [*unsent, sent]


async def test_a_new_publisher_goes_on_where_the_last_one_was(
    desk: Desk, events: EventBuffer, nursery: Any
) -> None:
    first = commit(desk, 2)
    events.publish(first)
    unsent = commit(desk, 5)
    publisher = Publisher(Mailbox("publisher", 10), events=events, reader=desk.connection)
    await nursery.start(publisher.run)
    assert events.after(0) == [*first, *unsent]


async def test_a_new_process_begins_after_the_last_event(house: House) -> None:
    async with house.running():
        await house.submit("a")
    before = house.seqs()[-1]
    async with house.running() as context:
        await house.settled()
        found = events_after(house.reader, before, limit=100)
        assert context.events.after(before) == found
        assert context.events.after(before - 1) is None


async def test_a_waiter_learns_of_an_end_that_was_not_sent(house: House, program: Any) -> None:
    """The publisher falls silent, and the scheduler's messages with it; the next one catches up."""
    house.host.programs["a"] = program(lasts_s=5)
    async with house.running() as context:
        (job,) = await house.submit({"type": "a", "run_at": from_us(context.clock.now() + 1000)})
        await trio.sleep(1)
        assert house.job(job).status == "RUNNING"
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(house.ended, job)
                await trio.sleep(1)
                await house.lose("publisher")
                await trio.sleep(10)
                await house.revive("publisher")
        assert house.job(job).status == "COMPLETED"
