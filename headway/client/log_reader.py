"""A run's output on the client's side: so far or as it comes, as bytes or as timed lines.

Invariant: what comes out is byte for byte what the program wrote, but for bytes that were dropped.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from headway.client.transport import ApiError, Connection, ServerUnreachable, segment
from headway.model.log import LogPiece, LogTime, LogTimeList

LINE_BYTES_MAX = 1024 * 1024
"""A longer line is shown in pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Output up to byte `end` of the log. `at`: when its first byte was written, if it was said."""

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

    def __init__(self, connection: Connection, job_id: str) -> None:
        self._connection = connection
        self._path = f"/jobs/{segment(job_id)}/log"

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The output so far from byte `start` to before byte `end`."""
        headers = {"Accept": "text/plain"}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        return self._connection.download(self._path, headers)

    def read_parts(self, tail: int | None = None) -> Iterator[LogPart]:
        """The output so far, or from the first line of its last `tail` bytes."""
        path = self._path if tail is None else f"{self._path}?tail={tail}"
        with closing(self._connection.open(path, {"Accept": "text/plain"})) as response:
            end = int(response.headers.get("Log-Offset", 0))
            for data in self._connection.pieces(response):
                end += len(data)
                yield LogPart(data=data, end=end)

    def follow(self, tail: int | None = None) -> Iterator[LogPart]:
        """The output as it comes, to the end of the run; waits for a run that has not started.

        An event carries text; where a byte of the output was not UTF-8 its piece is fetched again
        as bytes, so that nothing is altered.
        """
        end = 0
        for event in self._connection.stream(self._path, {} if tail is None else {"tail": tail}):
            if event.name == "end":
                return
            if event.name != "log":
                continue
            try:
                piece = LogPiece.model_validate_json(event.data)
                begin = end if piece.offset is None else piece.offset
                end = int(event.id or begin + len(piece.text.encode()))
            except ValueError:
                reason = "the events of its log are not those of headway"
                raise ServerUnreachable(self._connection.url, reason) from None
            text = piece.text
            data = self._exact(begin, end, text) if "\ufffd" in text else text.encode()
            yield LogPart(data=data, end=end, at=piece.at)

    def _exact(self, start: int, end: int, text: str) -> bytes:
        """The bytes that were shown as `text`; `text` itself where they cannot be had any more.

        A log whose middle was dropped counts differently from its stream, hence the comparison.
        """
        try:
            piece = b"".join(self.read(start, end))
        except ApiError:
            return text.encode()
        return piece if piece.decode(errors="replace") == text else text.encode()

    def times(self) -> list[LogTime]:
        """When the output was written: from each offset on, by which moment."""
        return self._connection.ask(LogTimeList, "GET", f"{self._path}/times").times


def timed_lines(parts: Iterable[LogPart], times: Sequence[LogTime]) -> Iterator[LogLine]:
    """Line by line, each with the moment by which its beginning had been written."""
    rest, at = b"", None
    for part in parts:
        begin = part.end - len(part.data)
        for line in _lines(part.data):
            if not rest:
                at = _moment(times, begin, part.at)
            begin += len(line)
            rest += line
            if line.endswith(b"\n") or len(rest) > LINE_BYTES_MAX:
                yield LogLine(at=at, line=rest)
                rest = b""
    if rest:
        yield LogLine(at=at, line=rest)


def _lines(data: bytes) -> list[bytes]:
    """Cut at newlines only: `bytes.splitlines` cuts at carriage returns, too."""
    *lines, last = data.split(b"\n")
    return [*(line + b"\n" for line in lines), *([last] if last else [])]


def _moment(times: Sequence[LogTime], offset: int, said: datetime | None) -> datetime | None:
    """From the samples; of what came after the last of them, from the event that brought it."""
    index = bisect_right(times, offset, key=lambda entry: entry.offset)
    known = [] if index == 0 else [times[index - 1].at]
    return max([*known, *([] if said is None else [said])], default=None)
