"""How a run waits for its host: for what a start needs, and for descriptors to be looked after.

What is held back in `process_tree.py` is enough for one look at a time. Where the whole host has no
descriptor left (ENFILE), or another thread takes what was given up, only waiting helps: to be
unable to look at a process or a file says nothing of it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import trio

from actors.host.process_tree import SCARCE

RETRY_S = (0.05, 1.0)
"""How soon there is another try: what is over in a moment costs no second."""

T = TypeVar("T")


@dataclass(slots=True)
class HostRetry:
    """Of one run. `note`: why it waits; None: it does not any more."""

    run_id: str
    note: Callable[[str, str | None], Awaitable[None]]
    _is_waiting: bool = False
    _retry_s: float = 0.0

    async def pause(self, reason: str, stop: trio.Event) -> None:
        """Until it is worth another try, or the event."""
        first_s, most_s = RETRY_S
        self._retry_s = min(most_s, 2 * self._retry_s) if self._is_waiting else first_s
        self._is_waiting = True
        await self.note(self.run_id, reason)
        with trio.move_on_after(self._retry_s):
            await stop.wait()

    async def over(self) -> None:
        """The host lets it go on, or it need not any more."""
        if self._is_waiting:
            self._is_waiting = False
            await self.note(self.run_id, None)

    async def until_possible(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, begun anew for as long as there is no descriptor for it."""
        while True:
            try:
                result = await work()
            except OSError as error:
                if error.errno not in SCARCE:
                    raise
                reason = f"a run cannot be looked after: {error.strerror}"
                await self.pause(reason, trio.Event())
            else:
                await self.over()
                return result

    async def look(self, look: Callable[[], T]) -> T:
        """The same of a look that does not wait."""

        async def work() -> T:
            return look()

        return await self.until_possible(work)
