"""Who goes first: a request that is answered at once, before work that is long and may be later.

A round of events to a thousand streams keeps the event loop, and the interpreter, busy for 50 ms. A
request takes a handful of turns of the loop and as many of the writer's thread, and would wait at
each of them. So such work comes in slices, and gives way between them while a request is answered.

Invariant: nobody who gives way waits for ever, however many requests there are: he says until when.
"""

import trio


class RequestPriority:
    """One for a server. Entered by each request while it is being answered."""

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
        """A checkpoint, which lasts while any request is being answered, at most to `until`."""
        await trio.lowlevel.checkpoint()
        while self._asked and trio.current_time() < until:
            with trio.move_on_at(until):
                await self._lot.park()
