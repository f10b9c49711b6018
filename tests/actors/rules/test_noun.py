"""A noun is one module and one line: the core handles its messages and fires its timers."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import apsw
import pytest

from actors import messages as m
from actors.actor import Ask, Message
from actors.identity import Identity
from actors.randomness import Randomness
from actors.rules.context import RuleContext
from actors.rules.core import Core
from actors.rules.noun import Noun
from actors.rules.nouns import NOUNS
from config.setup import Setup
from headway.model.problem import Refusal
from storage.idempotency import Key
from storage.transaction import Transaction

NOW = 1_800_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PinNote(Ask[int]):
    """Keep a note until a moment (µs)."""

    until: int


class Notes:
    """A noun of the test: its rows, its steps in their order."""

    def __init__(self) -> None:
        self.pinned: list[int] = []
        self.steps: list[str] = []
        self.noun = Noun(
            handlers={PinNote: self.pin},
            next_due=lambda _: min(self.pinned, default=None),
            fire=self.fire,
            recover=self.recover,
            created={int: lambda n, _: (b"%d" % n, f"/notes/{n}")},
        )

    def pin(self, tx: Transaction, _: RuleContext, message: PinNote) -> int:
        if message.until <= tx.now:
            raise Refusal("invalid", "correct /until")
        self.pinned.append(message.until)
        tx.emit("scheduler.started")
        return len(self.pinned)

    def fire(self, tx: Transaction, _: RuleContext) -> None:
        self.steps.append("fire")
        self.pinned = [until for until in self.pinned if until > tx.now]

    def recover(self, _: Transaction, __: RuleContext) -> None:
        self.steps.append("recover")


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def core(notes: Notes) -> Core:
    return Core(
        setup=Setup(job_types={}),
        identity=Identity(boot_id="boot-1", server_id="srv-1"),
        new_id=lambda kind: kind,
        random=Randomness(bytes),
        nouns=(*NOUNS, notes.noun),
    )


@pytest.fixture
def connection(fresh: Callable[[], apsw.Connection]) -> apsw.Connection:
    return fresh()


def test_a_noun_answers_and_sets_the_alarm(core: Core, connection: apsw.Connection) -> None:
    decision = core.decide(connection, NOW, [PinNote(until=NOW + 5), PinNote(until=NOW + 3)])
    assert [answer.unwrap() for answer in decision.answers] == [1, 2]
    assert [event.kind for event in decision.events] == ["scheduler.started"] * 2
    assert decision.next_due == NOW + 3


def test_a_key_gets_the_first_answer_again(core: Core, connection: apsw.Connection) -> None:
    once = m.Once(key=Key(key="k", request=b"r"), message=PinNote(until=NOW + 5))
    first, again = (answer.unwrap() for answer in core.decide(connection, NOW, [once] * 2).answers)
    assert (first.response, first.location, first.replayed) == (b"1", "/notes/1", False)
    assert again == replace(first, replayed=True)


def test_a_refusal_of_a_noun_is_an_answer(core: Core, connection: apsw.Connection) -> None:
    (answer,) = core.decide(connection, NOW, [PinNote(until=NOW)]).answers
    with pytest.raises(Refusal, match="until"):
        answer.unwrap()


def test_a_timer_fires_before_each_dispatch(
    core: Core, connection: apsw.Connection, notes: Notes
) -> None:
    core.decide(connection, NOW, [PinNote(until=NOW + 3)])
    decision = core.decide(connection, NOW + 3, [])
    assert (notes.steps, decision.next_due) == (["fire", "fire"], None)
    core.decide(connection, NOW + 3, [], dispatch=False)
    assert notes.steps == ["fire", "fire"]


def test_a_noun_recovers_before_the_first_dispatch(
    core: Core, connection: apsw.Connection, notes: Notes
) -> None:
    core.recover(connection, NOW)
    assert notes.steps == ["recover", "fire"]


def test_a_noun_draws_from_the_seam(connection: apsw.Connection) -> None:
    """So that a simulation with one seed decides the same again."""

    def drawn(seed: int) -> list[float]:
        core = Core(
            setup=Setup(job_types={}),
            identity=Identity(boot_id="boot-1", server_id="srv-1"),
            new_id=lambda kind: kind,
            random=Randomness(random.Random(seed).randbytes),
            nouns=(Noun(handlers={PinNote: lambda _, context, __: context.random.uniform(0, 9)}),),
        )
        messages: list[Message] = [PinNote(until=1)] * 3
        return [answer.unwrap() for answer in core.decide(connection, NOW, messages).answers]

    assert drawn(7) == drawn(7) != drawn(8)


def test_a_message_has_one_handler(notes: Notes) -> None:
    with pytest.raises(AssertionError, match="two handlers"):
        Core(
            setup=Setup(job_types={}),
            identity=Identity(boot_id="boot-1", server_id="srv-1"),
            new_id=lambda kind: kind,
            random=Randomness(bytes),
            nouns=(notes.noun, notes.noun),
        )
