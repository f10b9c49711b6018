"""The inspector: checks all pages of a database that is too large to be checked before the start.

It begins once the server is ready, and a fault that it finds ends the server, as a damaged page
that a request meets does. How a page is checked is in `storage/damage.py`.
"""

from collections.abc import Callable
from pathlib import Path

import apsw
import structlog
import trio

from actors.actor import Mailbox
from actors.clock import Clock
from actors.messages import StorageBroke
from storage.damage import ADVICE, PageCheck
from storage.database import Runner

RETRY_S = 60.0
"""When a check that was given up, since the write-ahead log grew below it, begins again."""

log = structlog.get_logger()


class Inspector:
    """`checked_at` (µs): when all pages were found sound; None: not yet in this life."""

    def __init__(
        self,
        path: Path,
        *,
        open_reader: Callable[[Path], apsw.Connection],
        runner: Runner,
        scheduler: Mailbox,
        clock: Clock,
        checked_at: int | None,
    ) -> None:
        """`checked_at`: given where the start itself has checked everything."""
        self._path = path
        self._open_reader = open_reader
        self._runner = runner
        self._scheduler = scheduler
        self._clock = clock
        self.checked_at = checked_at

    async def run(self, draining: trio.Event) -> None:
        """Return when everything is checked, a fault is reported, or the server shuts down."""
        while self.checked_at is None and not draining.is_set():
            faults = await self._check(draining)
            if faults:
                why = f"the database {self._path} is damaged: {'; '.join(faults)}. {ADVICE}"
                await self._scheduler.tell(StorageBroke(why=why))
                return
            if faults is not None:
                self.checked_at = self._clock.now()
                log.info("database checked", path=str(self._path))
            else:
                with trio.move_on_after(RETRY_S):
                    await draining.wait()

    async def _check(self, draining: trio.Event) -> list[str] | None:
        check = PageCheck(self._path, self._open_reader)

        async def stop_when_over() -> None:
            try:
                await draining.wait()
            finally:
                check.stop()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_when_over)
            faults = await self._runner.run(check.run)
            nursery.cancel_scope.cancel()
        return faults
