"""The orderly end of a server's life: what SIGTERM does, from the closed door to the last commit.

It is the server's own `shut_down`; imagined are the door (there is no port in a simulation) and the
signals.
"""

import random
from typing import cast

import trio

from tests.simulation.model import Model
from web.context import Context
from web.process.shutdown import shut_down
from web.server.listener import Server

GRACE_S = 1.0
KILL_GRACE_S = 2.0
END_S_MAX = GRACE_S + KILL_GRACE_S + 3
"""The graces, and what a slow disk and crashed actors may add."""
HASTE = 0.5
"""How likely a second signal comes, within the grace."""


class Door:
    """Stands for the listener: clients send requests while it is open."""

    def __init__(self, crowd: trio.Nursery) -> None:
        self.open = True
        self._crowd = crowd

    def drain(self) -> None:
        """Accept no more clients; requests in progress are answered."""
        self.open = False

    def finish(self) -> None:
        """Cancel clients that still wait."""
        self._crowd.cancel_scope.cancel()


class Signals:
    """The signals after the first. When the server listens for them it has drained."""

    def __init__(self, rng: random.Random, model: Model) -> None:
        self.second = False
        self._in_s = rng.uniform(0, GRACE_S) if rng.random() < HASTE else None
        self._model = model

    def __aiter__(self) -> "Signals":
        return self

    async def __anext__(self) -> int:
        self._model.drained = True
        if self._in_s is None:
            await trio.sleep_forever()
        else:
            await trio.sleep(self._in_s)
        self.second = True
        return 15


async def end_in_order(context: Context, door: Door, signals: Signals, *, detach: bool) -> None:
    """Until nothing is left to do but to close the database."""
    await shut_down(context, cast(Server, door), signals, detach=detach)
