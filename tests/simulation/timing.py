"""Time in a simulated world: it stands still, and jumps to the next deadline when all wait.

Trio's `MockClock` does this too; it also knows clocks that run, asks the host's on each of 15,000
questions a world, and gathers statistics for each of 2,500 jumps: 5 % of a world.
"""

from math import ceil, inf

import trio
from trio._core._run import GLOBAL_RUN_CONTEXT
from trio.testing import MockClock

SHORT_S = 0.05
"""What an executor takes for short: half of all programs, as most of a test's are."""

TICKS_S = (0.0, 0.25, 0.5, 1.0)
"""What floats hold exactly, so that a tick is one instant for all."""


class Ticks:
    """When clients ask, programs end and faults strike: all at any moment, or all on a tick.

    What happens at one instant Trio puts in any order, so a run ends while it is cancelled, a
    server is killed between a commit and its answer, and one batch holds what several asked.
    """

    def __init__(self, tick_s: float) -> None:
        self.tick_s = tick_s

    async def sleep(self, about_s: float) -> None:
        """Sleep so long, and then up to the next tick."""
        until = trio.current_time() + about_s
        if self.tick_s:
            until = ceil(until / self.tick_s) * self.tick_s
        await trio.sleep_until(until)

    async def last(self, about_s: float) -> None:
        """Sleep as `sleep`, but short times exactly: they end before the executor shows the run."""
        await (trio.sleep if about_s < SHORT_S else self.sleep)(about_s)


def standing_clock() -> MockClock:
    """A clock for `trio.run` that moves by jumps alone."""
    clock = MockClock(autojump_threshold=0)
    now = 0.0

    def current_time() -> float:
        return now

    def autojump() -> None:
        nonlocal now
        deadline = GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
        if now < deadline < inf:
            now = deadline

    # The class refuses to be subclassed, and Trio jumps no other clock.
    clock.current_time = current_time  # type: ignore[method-assign]
    clock._autojump = autojump  # type: ignore[method-assign]
    return clock
