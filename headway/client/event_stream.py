"""Server-sent events, decoded from the chunks of a body (WHATWG HTML 9.2.6), without any I/O."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from headway.model.event import EventView

EVENT_BYTES_MAX = 8 * 1024 * 1024
"""A longer line or event is not headway's, and would fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event of a stream.

    Two names are made by the client: `open`, at each connection and reconnection (what was missed
    in between has to be requested), and `comment`, the heartbeat, which may carry an id.
    """

    name: str
    id: str | None = None
    data: str = ""

    def parsed(self) -> EventView:
        """The event of headway that `data` represents.

        Raises:
            ValueError: it represents none, as `open`, `comment`, `reset` and `goodbye`.
        """
        return EventView.model_validate_json(self.data, extra="ignore")


class EventDecoder:
    """Decodes one response body. An event that is cut short is dropped."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._id: str | None = None
        self._sent_id: str | None = None
        self._clear()

    def _clear(self) -> None:
        self._name, self._data, self._size = "message", list[str](), 0

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that end in this chunk.

        Raises:
            httpx.RemoteProtocolError: a line or an event is longer than `EVENT_BYTES_MAX`.
        """
        for line in self._lines(chunk):
            if (event := self._event_at(line)) is not None:
                yield event

    def _lines(self, chunk: bytes) -> list[str]:
        """Lines ended by LF or CRLF. httpx's own splitter also cuts at U+2028 and U+0085."""
        self._rest += chunk
        *lines, last = self._rest.split(b"\n")
        self._rest = bytearray(last)
        if len(last) > EVENT_BYTES_MAX:
            raise httpx.RemoteProtocolError(f"a line is longer than {EVENT_BYTES_MAX} bytes")
        return [line.removesuffix(b"\r").decode(errors="replace") for line in lines]

    def _event_at(self, line: str) -> ServerEvent | None:
        """The event that this line ends, if it ends one."""
        if not line:
            return self._end_event()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not field:
            return ServerEvent(name="comment")
        if field == "event":
            self._name = value
        elif field == "id":
            self._id = value
        elif field == "data":
            self._data.append(value)
            self._size += len(value)
            if self._size > EVENT_BYTES_MAX:
                raise httpx.RemoteProtocolError(f"an event is longer than {EVENT_BYTES_MAX} bytes")
        return None

    def _end_event(self) -> ServerEvent | None:
        event = None
        if self._data:
            event = ServerEvent(name=self._name, id=self._id, data="\n".join(self._data))
        elif self._id != self._sent_id:  # an id alone also moves the point to resume from
            event = ServerEvent(name="comment", id=self._id)
        self._sent_id = self._id
        self._clear()
        return event
