"""Prioritise request handlers over long event-loop work.

A round of events to a thousand streams keeps the event loop, and the interpreter, busy for 50 ms. A
request takes a handful of turns of the loop and as many of the writer's thread, and would wait at
each of them. So such work is cut into slices, and waits between them while a request is answered.

Invariant: work that gives way goes on at the time that it has set, however many requests arrive.
"""

import trio


class RequestPriority:
    """The requests that are being answered: each enters it for that time. One for a server."""

    def __init__(self) -> None:
        self._asked = 0
        self._lot = trio.lowlevel.ParkingLot()

    def __enter__(self) -> None:
        self._asked += 1

    def __exit__(self, *_: object) -> None:
        self._asked -= 1
        if not self._asked:
            self._lot.unpark_all()

    async def give_way(self, until: float) -> None:
        """Wait while any request is being answered, at most to `until`. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while self._asked and trio.current_time() < until:
            with trio.move_on_at(until):
                await self._lot.park()
