"""A run's output on the client's side: so far or as it is written, as bytes or as timed lines.

Invariant: the result is byte for byte what the program wrote, except for bytes that were dropped.
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from headway.client.error import ApiError, ServerUnreachable
from headway.client.event_stream import ServerEvent
from headway.client.session import Session, segment
from headway.model.log import LogPiece, LogTime, LogTimeList

LINE_BYTES_MAX = 1024 * 1024
"""A longer line is returned in pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Output up to byte `end` of the log. `at`: when its first byte was written, if known."""

    data: bytes
    end: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line with its newline, if it has one, and when it was written, if that is known."""

    at: datetime | None
    line: bytes


class LogReader:
    """The log of one Job."""

    def __init__(self, session: Session, job_id: str) -> None:
        self._session = session
        self._path = f"/jobs/{segment(job_id)}/log"

    def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The output so far from byte `start` to before byte `end`."""
        headers = {"Accept": "text/plain"}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        return self._session.download(self._path, headers)

    async def read_parts(self, tail: int | None = None) -> AsyncGenerator[LogPart, None]:
        """The output so far, or from the first line of its last `tail` bytes."""
        headers = {"Accept": "text/plain"}
        response = await self._session.open(self._path, headers, {"tail": tail})
        end = int(response.headers.get("Log-Offset", 0))
        async with aclosing(self._session.chunks(response)) as chunks:
            async for data in chunks:
                end += len(data)
                yield LogPart(data=data, end=end)

    async def follow(self, tail: int | None = None) -> AsyncGenerator[LogPart, None]:
        """The output as it is written, to the end of the run; waits for a run to start.

        An event carries text; where a byte of the output was not UTF-8 its piece is requested again
        as bytes, so that nothing is altered.
        """
        end = 0
        async with aclosing(self._session.stream(self._path, {"tail": tail})) as events:
            async for event in events:
                if event.name == "end":
                    return
                if event.name == "log":
                    part = await self._part_of(event, end)
                    end = part.end
                    yield part

    async def _part_of(self, event: ServerEvent, begin: int) -> LogPart:
        """The output that a `log` event carries; it begins at `begin` if the event has no offset.

        Raises:
            ServerUnreachable: it is not an event of headway.
        """
        try:
            piece = LogPiece.model_validate_json(event.data, extra="ignore")
            begin = begin if piece.offset is None else piece.offset
            end = int(event.id or begin + len(piece.text.encode()))
        except ValueError:
            reason = "the events of its log are not those of headway"
            raise ServerUnreachable(self._session.url, reason) from None
        data = piece.text.encode()
        if "\ufffd" in piece.text:
            data = await self._exact(begin, end, piece.text)
        return LogPart(data=data, end=end, at=piece.at)

    async def _exact(self, begin: int, end: int, text: str) -> bytes:
        """The bytes that the server decoded to `text`; `text` itself where they are gone.

        A log whose middle was dropped counts differently from its stream, hence the comparison.
        """
        try:
            async with aclosing(self.read(begin, end)) as chunks:
                data = b"".join([chunk async for chunk in chunks])
        except ApiError:
            return text.encode()
        return data if data.decode(errors="replace") == text else text.encode()

    async def times(self) -> list[LogTime]:
        """When the output was written: from each offset on, by which time."""
        return (await self._session.ask(LogTimeList, "GET", f"{self._path}/times")).times


class LineTimer:
    """Divides output into lines, each with the time by which its beginning had been written."""

    def __init__(self, times: Sequence[LogTime]) -> None:
        self._times = times
        self._rest = b""
        self._at: datetime | None = None

    def feed(self, part: LogPart) -> Iterator[LogLine]:
        """The lines that end in this part."""
        begin = part.end - len(part.data)
        for line in _lines(part.data):
            if not self._rest:
                self._at = _time_at(self._times, begin, part.at)
            begin += len(line)
            self._rest += line
            if line.endswith(b"\n") or len(self._rest) > LINE_BYTES_MAX:
                yield from self.end()

    def end(self) -> Iterator[LogLine]:
        """What is left at the end of the output: a line without a newline."""
        if self._rest:
            line, self._rest = self._rest, b""
            yield LogLine(at=self._at, line=line)


def _lines(data: bytes) -> list[bytes]:
    """Cut at newlines only: `bytes.splitlines` also cuts at carriage returns."""
    *lines, last = data.split(b"\n")
    return [*(line + b"\n" for line in lines), *([last] if last else [])]


def _time_at(times: Sequence[LogTime], offset: int, sent: datetime | None) -> datetime | None:
    """From the samples; after the last of them, the time `sent` with the event."""
    index = bisect_right(times, offset, key=lambda entry: entry.offset)
    known = [] if index == 0 else [times[index - 1].at]
    return max([*known, *([] if sent is None else [sent])], default=None)
