"""A listener to the event stream, and its time."""

from datetime import UTC, datetime
from typing import Any

import trio
from pydantic_core import from_json
from trio.testing import wait_all_tasks_blocked

from headway.client.event_stream import EventDecoder, ServerEvent
from web.resources.events import Stream

LATER = datetime(2126, 1, 1, tzinfo=UTC)


class Listener:
    """A client that reads everything at once, or waits `pause_s` after each piece."""

    def __init__(self, stream: Stream, pause_s: float = 0) -> None:
        self._stream = stream
        self._pause_s = pause_s
        self.pieces: list[bytes] = []

    async def run(self) -> None:
        async for piece in self._stream:
            self.pieces.append(piece)
            if self._pause_s:
                await trio.sleep(self._pause_s)

    @property
    def sent(self) -> list[ServerEvent]:
        return list(EventDecoder().feed(b"".join(self.pieces)))

    @property
    def events(self) -> list[Any]:
        own = ("comment", "reset", "goodbye")
        return [from_json(event.data) for event in self.sent if event.name not in own]

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.events]

    @property
    def last_id(self) -> int:
        return int([event.id for event in self.sent if event.id][-1] or 0)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.sent]


async def soon() -> None:
    await trio.sleep(1)
    await wait_all_tasks_blocked()
