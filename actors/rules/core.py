"""The core: applies a batch of messages to the database in plain synchronous code.

`Core.decide` takes a batch through one transaction: each message in a savepoint of its own, then
the Jobs that may start now are claimed, then one commit. Outside effects (a program starts, ends)
are returned as messages for the executor, which are sent after the commit: intent before act.

It knows no noun: `nouns.py` lists them, and each has its handlers and timers in a module of its
own. What may start, and in which order, is in `dispatch.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import outcome

from actors.actor import Message
from actors.identity import Identity
from actors.randomness import Randomness
from actors.rules.context import Handler, RuleContext
from actors.rules.dispatch import dispatch_queue
from actors.rules.noun import Noun
from actors.rules.nouns import NOUNS
from config.setup import Setup
from headway.model.problem import Refusal
from storage.events import Event
from storage.transaction import Transaction, write_transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The result of one committed batch: answers, effects, events, and when (µs) to wake."""

    answers: list[outcome.Outcome[Any]]
    effects: list[Message]
    events: list[Event]
    next_due: int | None


class Core:
    """The rules. Holds what was configured; everything else it reads from the transaction.

    `setup`: as of the last commit, for readers on other threads too.
    """

    def __init__(
        self,
        *,
        setup: Setup,
        identity: Identity,
        new_id: Callable[[str], str],
        random: Randomness,
        shortage: Callable[[int], str | None] = lambda _: None,
        nouns: Sequence[Noun] = NOUNS,
    ) -> None:
        self.setup = setup
        self._nouns = nouns
        self._context = RuleContext(
            setup=setup,
            identity=identity,
            new_id=new_id,
            random=random,
            shortage=shortage,
            handlers=_handlers(nouns),
            created={kind: shown for noun in nouns for kind, shown in noun.created.items()},
            timers=[noun.fire for noun in nouns if noun.fire is not None],
        )

    @property
    def host_reason(self) -> str | None:
        """Why the host prevents starts; None if it does not."""
        return self._context.host_reason

    @property
    def lacks_space(self) -> bool:
        """Whether nothing starts until the free space has been looked at again."""
        return self._context.short is not None

    @property
    def waiting(self) -> frozenset[str]:
        """Runs that are claimed, and cannot begin yet."""
        return self._context.waiting

    @property
    def left(self) -> frozenset[str]:
        """Runs that have not begun, and do not in this life of the server."""
        return self._context.left

    def recover(self, connection: apsw.Connection, now: int) -> Decision:
        """Begin a life: settle what earlier ones left, then start what may start.

        Raises: see `decide`.
        """
        self._context.begin_transaction(self.setup)
        self._context.begin_life()
        with write_transaction(connection, now) as tx:
            for noun in self._nouns:
                if noun.recover is not None:
                    noun.recover(tx, self._context)
            dispatch_queue(tx, self._context)
            next_due = self._next_due(connection)
        return self._decision(tx, [], next_due)

    def decide(
        self, connection: apsw.Connection, now: int, batch: list[Message], *, dispatch: bool = True
    ) -> Decision:
        """Apply a batch in one transaction; without `dispatch` nothing starts.

        Raises:
            apsw.FullError: the disk is full; nothing of the batch happened.
            apsw.Error: anything else that SQLite reports; the outcome of a commit is unknown.
        """
        # A commit that failed has replaced nothing.
        self._context.begin_transaction(self.setup)
        with write_transaction(connection, now) as tx:
            answers = [self._answer(tx, message) for message in batch]
            if dispatch:
                dispatch_queue(tx, self._context)
            next_due = self._next_due(connection)
        self.setup = self._context.setup
        return self._decision(tx, answers, next_due)

    def _answer(self, tx: Transaction, message: Message) -> outcome.Outcome[Any]:
        effects = self._context.effects
        mark = len(effects)
        try:
            with tx.savepoint():
                return outcome.Value(self._context.apply(tx, message))
        except Refusal as refusal:
            del effects[mark:]
            return outcome.Error(refusal)

    def _next_due(self, connection: apsw.Connection) -> int | None:
        moments = (noun.next_due(connection) for noun in self._nouns if noun.next_due is not None)
        return min((moment for moment in moments if moment is not None), default=None)

    def _decision(
        self, tx: Transaction, answers: list[outcome.Outcome[Any]], next_due: int | None
    ) -> Decision:
        effects = self._context.effects
        return Decision(answers=answers, effects=effects, events=tx.events, next_due=next_due)


def _handlers(nouns: Sequence[Noun]) -> dict[type[Message], Handler]:
    handlers: dict[type[Message], Handler] = {}
    for noun in nouns:
        assert handlers.keys().isdisjoint(noun.handlers), "a message has two handlers"
        handlers.update(noun.handlers)
    return handlers
