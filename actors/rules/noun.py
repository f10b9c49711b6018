"""Noun: the handlers and timers that one noun adds to the rules. `nouns.py` lists them all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import apsw

from actors.actor import Message
from actors.rules.context import Created, Handler, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """Everything that `Core` needs to know of jobs, runs, reservations, …

    `handlers`: by message type. `created`: by the type of what a creation returns, the body and the
    location that are kept for an `Idempotency-Key`. `next_due`: when (µs) `fire` has something to
    do; `fire` does all that is due at the moment of the transaction, before every dispatch.
    `recover`: what the scheduler settles first when it starts. The SQL is in the module of
    `storage` with the noun's name, and so are the invariants (`storage/verify/`).
    """

    handlers: Mapping[type[Message], Handler] = field(default_factory=dict)
    created: Mapping[type, Created] = field(default_factory=dict)
    next_due: Callable[[apsw.Connection], int | None] | None = None
    fire: Step | None = None
    recover: Step | None = None
