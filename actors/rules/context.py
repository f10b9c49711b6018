"""The context of the rules: configuration, ids, random numbers, handlers, and pending effects.

Invariant: `effects` are those of the transaction that is open; they are sent when it is on disk.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate

from actors.actor import Message
from actors.identity import Identity
from actors.randomness import Randomness
from actors.rules.public import JobTypes
from config.setup import Setup
from storage.transaction import Transaction

Handler = Callable[[Transaction, "RuleContext", Any], Any]
"""Apply a message; the result is the answer. A `Refusal` undoes what it wrote."""
Created = Callable[[Any, JobTypes], tuple[bytes, str]]
"""The body and the location of what a creation returned."""
Step = Callable[Concatenate[Transaction, "RuleContext", ...], None]
"""Something that happens without a message: a timer that fires, a life that begins."""


class RuleContext:
    """The state of one core beside the database. Used on the writer's thread only.

    `setup`: as the message that is being applied sees it. `handlers`, `created`, `timers`: of all
    nouns. `life`: see `EnsureRun`. `draining`: nothing starts any more. While the host is not fit
    for a start nothing is claimed: `blocked` is why claimed runs do not begin (see
    `StartsBlocked`), and `waiting` which; `short` is what there is too little of, as `shortage`
    last returned. `left`: runs that have not begun, and do not in this life of the server.
    """

    def __init__(
        self,
        *,
        setup: Setup,
        identity: Identity,
        new_id: Callable[[str], str],
        random: Randomness,
        shortage: Callable[[int], str | None],
        handlers: Mapping[type[Message], Handler],
        created: Mapping[type, Created],
        timers: Sequence[Step],
    ) -> None:
        self.setup = setup
        self.identity = identity
        self.new_id = new_id
        self.random = random
        self.handlers = handlers
        self.created = created
        self.timers = timers
        self.effects: list[Message] = []
        self.life = 0
        self.draining = False
        self.blocked: str | None = None
        self.waiting = frozenset[str]()
        self.short: str | None = None
        self.left = frozenset[str]()
        self._shortage = shortage

    @property
    def host_reason(self) -> str | None:
        """Why the host prevents starts; None if it does not."""
        return self.blocked or self.short

    def apply(self, tx: Transaction, message: Message) -> Any:
        """Call the handler of the message; returns its answer."""
        handler = self.handlers.get(type(message))
        assert handler is not None, f"the scheduler does not understand {message!r}"
        return handler(tx, self, message)

    def begin_transaction(self, setup: Setup) -> None:
        """Discard the setup and the effects of an earlier transaction that failed."""
        self.setup = setup
        self.effects = []

    def begin_life(self) -> None:
        """The scheduler starts, again perhaps; the executor finds out anew what is blocked."""
        self.life += 1
        self.note_blocked(None, frozenset())

    def note_blocked(self, reason: str | None, run_ids: frozenset[str]) -> None:
        """Remember why claimed runs do not begin; None: they do."""
        self.blocked, self.waiting = reason, run_ids

    def look_for_space(self) -> None:
        """Ask again whether the disk has enough free space for a start."""
        self.short = self._shortage(self.setup.free_space_bytes)
