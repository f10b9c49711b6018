"""A run's output as it is shown, and any part of it as an answer.

A log whose middle was dropped is shown as its beginning, one line that says how much is missing,
and its end; `offset` and `Range` count in what is shown.
"""

import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from actors.run_files import log_hole, open_regular
from storage.database import Runner
from storage.errors import Refusal
from web.api import Answer

CHUNK_BYTES = 64 * 1024
_CONTINUATION = bytes(range(0x80, 0xC0))  # of a UTF-8 character that has begun


@dataclass(frozen=True, slots=True)
class LogView:
    """A log as it is shown: the file's beginning, a marker for what was dropped, its end."""

    path: Path
    head: int
    marker: bytes
    tail_at: int
    tail: int

    @classmethod
    def open(cls, path: Path) -> "LogView":
        """Look at the file now; one that is not there is empty."""
        try:
            size = path.lstat().st_size
            hole = log_hole(path)
        except OSError:
            return cls(path, 0, b"", 0, 0)
        if hole is None:
            return cls(path, size, b"", size, 0)
        begin, end = hole
        marker = f"\n[headway: {end - begin} bytes dropped here]\n".encode()
        return cls(path, begin, marker, end, size - end)

    @property
    def size(self) -> int:
        """Bytes shown."""
        return self.head + len(self.marker) + self.tail

    def line_start(self, length: int) -> int:
        """The offset of the first line that lies within the last `length` bytes."""
        return line_start(self.read, self.size, length)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` of what is shown."""
        out = b""
        if offset < self.head:
            out = self._pread(offset, min(length, self.head - offset))
        skipped = max(0, offset - self.head)
        if len(out) < length and skipped < len(self.marker):
            out += self.marker[skipped:][: length - len(out)]
        skipped = max(0, offset - self.head - len(self.marker))
        if len(out) < length and skipped < self.tail:
            wanted = min(length - len(out), self.tail - skipped)
            out += self._pread(self.tail_at + skipped, wanted)
        return out

    def _pread(self, offset: int, length: int) -> bytes:
        with open_regular(self.path) as file:
            return os.pread(file.fileno(), length, offset)


def line_start(read: Callable[[int, int], bytes], size: int, length: int) -> int:
    """Where the first whole line of the last `length` of `size` bytes begins.

    In a line that is longer it is the next character (UTF-8), so that nothing is torn.
    """
    begin = size - length
    if begin <= 0:
        return 0
    data = read(begin - 1, min(length + 1, CHUNK_BYTES))
    end = data.find(b"\n", 0, size - begin)  # the log's last byte begins no line
    if end >= 0:
        return begin + end
    after = data[1:4]
    return begin + len(after) - len(after.lstrip(_CONTINUATION))


def ranged(
    view: LogView, header: str | None, offset: int | None, media: str, reader: Runner
) -> Answer[None]:
    """The whole, or from `offset`, or the range asked for.

    Raises:
        Refusal: `range_not_satisfiable`.
    """
    first, last, status = min(offset or 0, view.size), view.size - 1, 200
    headers = {"Accept-Ranges": "bytes", "Content-Type": media}
    if header is not None and (asked := parse_range(header, view.size)) is not None:
        first, last, status = *asked, 206
        headers["Content-Range"] = f"bytes {first}-{last}/{view.size}"
    length = max(0, last - first + 1)
    headers["Content-Length"] = str(length)
    if length <= CHUNK_BYTES:
        return Answer(body=view.read(first, length), status=status, headers=headers)
    return Answer(pieces=chunks(view, first, length, reader), status=status, headers=headers)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """(first, last) of one byte range; None if the header is one to ignore (RFC 9110, 14.2)."""
    match = re.fullmatch(r"bytes=(\d{0,19})-(\d{0,19})", header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
        if match[2] and int(match[2]) < first:
            return None
    if first > last:
        raise Refusal("range_not_satisfiable", f"there are {size} bytes")
    return first, last


async def chunks(view: LogView, first: int, length: int, reader: Runner) -> AsyncIterator[bytes]:
    """The bytes in pieces, so that a large file is never held in memory."""
    while length > 0:
        data = await reader.run(partial(view.read, first, min(length, CHUNK_BYTES)))
        if not data:
            return
        yield data
        first += len(data)
        length -= len(data)
