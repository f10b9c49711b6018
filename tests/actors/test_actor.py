"""The kit: bounded mailboxes, asks that are always answered, batches in order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.actor import Actor, Ask, Envelope, Mailbox, Message, Reply
from headway.model.problem import Refusal


@dataclass(frozen=True, slots=True)
class Say(Message):
    word: str


@dataclass(frozen=True, slots=True)
class Question(Ask[str]):
    word: str


class Scribe(Actor):
    """Answers through `respond`, and records the messages of each batch."""

    batch_size = 4

    def __init__(self, mailbox: Mailbox, respond: Callable[[Envelope], None]) -> None:
        super().__init__(mailbox)
        self.respond = respond
        self.batches: list[list[str]] = []

    async def handle(self, batch: list[Envelope]) -> None:
        self.batches.append([envelope.message.word for envelope in batch])  # type: ignore[attr-defined]
        for envelope in batch:
            self.respond(envelope)


def echo(envelope: Envelope) -> None:
    if envelope.reply is not None:
        envelope.reply.answer(f"{envelope.message.word}!")  # type: ignore[attr-defined]


def crash(_: Envelope) -> None:
    raise ZeroDivisionError


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox("scribe", 3)


# ---- mailbox -----------------------------------------------------------------------------------


async def test_a_full_mailbox_makes_the_teller_wait(mailbox: Mailbox, autojump_clock: Any) -> None:
    for word in "abc":
        await mailbox.tell(Say(word))
    with trio.move_on_after(1) as scope:
        await mailbox.tell(Say("d"))
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.tell, Say("d"))
        await wait_all_tasks_blocked()
        assert len(await mailbox.receive_batch(1)) == 1
    batch = await mailbox.receive_batch(10)
    assert [envelope.message for envelope in batch] == [Say("b"), Say("c"), Say("d")]


async def test_nobody_waits_where_nobody_may(mailbox: Mailbox) -> None:
    assert [mailbox.tell_nowait(Say(word)) for word in "abcd"] == [True, True, True, False]
    mailbox.close()
    assert not mailbox.tell_nowait(Say("e"))


async def test_a_batch_is_what_waits_in_its_order(mailbox: Mailbox) -> None:
    async with trio.open_nursery() as nursery:
        for word in "abcde":  # two of them wait outside
            nursery.start_soon(mailbox.tell, Say(word))
            await wait_all_tasks_blocked()
        first = await mailbox.receive_batch(4)
        rest = await mailbox.receive_batch(4)
    assert [[envelope.message.word for envelope in batch] for batch in (first, rest)] == [  # type: ignore[attr-defined]
        ["a", "b", "c", "d"],
        ["e"],
    ]


async def test_an_empty_mailbox_is_waited_for(mailbox: Mailbox, autojump_clock: Any) -> None:
    with trio.move_on_after(1) as scope:
        await mailbox.receive_batch(4)
    assert scope.cancelled_caught


async def test_a_closed_mailbox_refuses_asks_and_drops_what_it_is_told(mailbox: Mailbox) -> None:
    mailbox.close()
    await mailbox.tell(Say("a"))
    with pytest.raises(Refusal) as caught:
        await mailbox.ask(Question("a"))
    assert caught.value.code == "unavailable"
    mailbox.close()  # again does no harm


async def test_closing_refuses_what_lies_in_the_box_and_who_waits_outside(
    mailbox: Mailbox,
) -> None:
    codes = []

    async def ask() -> None:
        with pytest.raises(Refusal) as caught:
            await mailbox.ask(Question("a"))
        codes.append(caught.value.code)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
        nursery.start_soon(mailbox.tell, Say("b"))
        await wait_all_tasks_blocked()
        mailbox.close()
    assert codes == ["unavailable"] * 5


# ---- asks --------------------------------------------------------------------------------------


async def test_an_ask_gets_its_value(mailbox: Mailbox, nursery: trio.Nursery) -> None:
    nursery.start_soon(Scribe(mailbox, echo).run)
    assert await mailbox.ask(Question("yes")) == "yes!"


async def test_a_refusal_is_raised_where_it_was_asked_and_the_actor_lives(
    mailbox: Mailbox, nursery: trio.Nursery
) -> None:
    def respond(envelope: Envelope) -> None:
        if envelope.message == Question("no"):
            envelope.fail(Refusal("not_found", "no such word"))
        else:
            echo(envelope)

    nursery.start_soon(Scribe(mailbox, respond).run)
    with pytest.raises(Refusal, match="no such word"):
        await mailbox.ask(Question("no"))
    assert await mailbox.ask(Question("yes")) == "yes!"


async def test_each_asker_gets_its_own_answer(mailbox: Mailbox, nursery: trio.Nursery) -> None:
    answers = {}

    async def ask(word: str) -> None:
        answers[word] = await mailbox.ask(Question(word))

    async with trio.open_nursery() as askers:
        for word in "abcdefgh":
            askers.start_soon(ask, word)
        await wait_all_tasks_blocked()
        nursery.start_soon(Scribe(mailbox, echo).run)
    assert answers == {word: f"{word}!" for word in "abcdefgh"}


async def test_a_crash_answers_what_it_left_unanswered(mailbox: Mailbox) -> None:
    answers: dict[str, str] = {}

    def respond(envelope: Envelope) -> None:
        if envelope.message == Question("b"):
            raise ZeroDivisionError
        echo(envelope)

    async def ask(word: str) -> None:
        try:
            answers[word] = await mailbox.ask(Question(word))
        except Refusal as refusal:
            answers[word] = refusal.code

    async with trio.open_nursery() as askers:
        for word in "abc":
            askers.start_soon(ask, word)
            await wait_all_tasks_blocked()
        with pytest.RaisesGroup(ZeroDivisionError):
            await Scribe(mailbox, respond).run()
    assert answers == {"a": "a!", "b": "unavailable", "c": "unavailable"}


async def test_stopping_answers_the_batch_in_hand(mailbox: Mailbox) -> None:
    class Slow(Actor):
        async def handle(self, batch: list[Envelope]) -> None:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Slow(mailbox).run)

        async def ask() -> None:
            with pytest.raises(Refusal) as caught:
                await mailbox.ask(Question("a"))
            assert caught.value.code == "unavailable"

        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as askers:
                askers.start_soon(ask)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        assert not scope.cancelled_caught


async def test_who_stops_waiting_leaves_the_message_behind(
    mailbox: Mailbox, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    with trio.move_on_after(1) as scope:
        await mailbox.ask(Question("left"))
    assert scope.cancelled_caught
    scribe = Scribe(mailbox, echo)
    nursery.start_soon(scribe.run)
    assert await mailbox.ask(Question("right")) == "right!"
    assert scribe.batches[0][0] == "left"


async def test_the_first_answer_stands() -> None:
    reply = Reply()
    reply.answer(1)
    reply.answer(2)
    reply.refuse(ZeroDivisionError())
    assert await reply.wait() == 1


async def test_batches_are_as_large_as_the_actor_says(nursery: trio.Nursery) -> None:
    mailbox = Mailbox("scribe", 20)
    for n in range(10):
        await mailbox.tell(Say(str(n)))
    scribe = Scribe(mailbox, echo)
    nursery.start_soon(scribe.run)
    await wait_all_tasks_blocked()
    assert scribe.batches == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]


async def test_started_is_said_after_the_setup(mailbox: Mailbox, nursery: trio.Nursery) -> None:
    class Careful(Scribe):
        ready = False

        async def start(self, nursery: trio.Nursery) -> None:
            await trio.lowlevel.checkpoint()
            self.ready = True

    actor = Careful(mailbox, echo)
    await nursery.start(actor.run)
    assert actor.ready
