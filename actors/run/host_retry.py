"""Retry while the host lacks what a run needs: to start, or a descriptor to watch it with.

The descriptors reserved in `process_tree.py` are enough for one look at a time. If the whole host
has none left (ENFILE), or another thread takes those that were released, only waiting helps: that a
process or a file cannot be examined does not mean that it is gone.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import trio

from actors.host.process_tree import SCARCE

RETRY_S = (0.05, 1.0)
"""The first and the longest pause: a brief shortage does not cost a second."""

T = TypeVar("T")


@dataclass(slots=True)
class HostRetry:
    """The retries of one run. `note` receives why it waits, and None when it no longer does."""

    run_id: str
    note: Callable[[str, str | None], Awaitable[None]]
    _is_waiting: bool = False
    _retry_s: float = 0.0

    async def pause(self, reason: str, stop: trio.Event) -> None:
        """Wait before the next try, or until `stop` is set."""
        first_s, most_s = RETRY_S
        self._retry_s = min(most_s, 2 * self._retry_s) if self._is_waiting else first_s
        self._is_waiting = True
        await self.note(self.run_id, reason)
        with trio.move_on_after(self._retry_s):
            await stop.wait()

    async def over(self) -> None:
        """Note that the run no longer waits for the host."""
        if self._is_waiting:
            self._is_waiting = False
            await self.note(self.run_id, None)

    async def until_possible(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, repeated while no descriptor is free for it."""
        while True:
            try:
                result = await work()
            except OSError as error:
                if error.errno not in SCARCE:
                    raise
                reason = f"a run cannot be watched: {error.strerror}"
                await self.pause(reason, trio.Event())
            else:
                await self.over()
                return result

    async def look(self, look: Callable[[], T]) -> T:
        """`until_possible` for a function that does not wait."""

        async def work() -> T:
            return look()

        return await self.until_possible(work)
