"""A run's output as it is shown, and any part of it as a response.

A log whose middle was dropped is shown as its beginning, one line that states how much is missing,
and its end; `offset` and `Range` refer to the output as it is shown.
"""

import errno
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from actors.host import process_tree
from actors.host.file_tree import NotRegular, open_in
from actors.run.run_files import hole_of
from actors.runner import Pool, StopFlag
from headway.model.problem import Refusal
from web.api.response import Response
from web.api.routes import Header

CHUNK_BYTES = 64 * 1024
TEXT = "text/plain; charset=utf-8"
RangeHeader = Annotated[
    str | None, Header("Range", "`bytes=FIRST-LAST`, one range (RFC 9110, 14).")
]
_CONTINUATION = bytes(range(0x80, 0xC0))  # of a UTF-8 character that has begun


@dataclass(frozen=True, slots=True)
class LogView:
    """A file as it is shown: its beginning, a marker for the bytes that were dropped, its end.

    `open_file` returns a descriptor of it. `refusal_of` is the refusal for its OSError.
    """

    open_file: Callable[[], int]
    head: int = 0
    marker: bytes = b""
    tail_at: int = 0
    tail: int = 0

    @classmethod
    def open(cls, path: Path) -> "LogView":
        """The view of a log as it is now; a missing one is empty.

        Raises:
            OSError: it is no regular file, or may not be read.
        """
        open_file = partial(open_in, path)
        try:
            descriptor = open_file()
        except FileNotFoundError:
            return cls(open_file)
        try:
            size, hole = os.fstat(descriptor).st_size, hole_of(descriptor)
        finally:
            os.close(descriptor)
        if hole is None:
            return cls(open_file, size, b"", size, 0)
        begin, end = hole
        marker = f"\n[headway: {end - begin} bytes dropped here]\n".encode()
        return cls(open_file, begin, marker, end, size - end)

    @classmethod
    def open_whole(cls, open_file: Callable[[], int]) -> "LogView":
        """The view of a file without a hole. As `open`, but it must exist."""
        descriptor = open_file()
        try:
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        return cls(open_file, size, b"", size, 0)

    @property
    def size(self) -> int:
        """The size of the view in bytes."""
        return self.head + len(self.marker) + self.tail

    def line_start(self, length: int) -> int:
        """The offset of the first line within the last `length` bytes."""
        return line_start(self.read, self.size, length)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` of the view."""
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
        descriptor = self.open_file()
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)


def line_start(read: Callable[[int, int], bytes], size: int, length: int) -> int:
    """The offset of the first whole line in the last `length` of `size` bytes.

    Within a longer line it is that of the next UTF-8 character.
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


def refusal_of(error: OSError, what: str) -> Refusal:
    """The refusal for a file of a run that cannot be read."""
    if error.errno in (*process_tree.SCARCE, errno.ENOMEM):
        return Refusal("unavailable", f"{what} cannot be opened at the moment: try again shortly")
    if isinstance(error, NotRegular | FileNotFoundError | NotADirectoryError):
        return Refusal("gone", f"{what} is not there any more")
    if error.errno == errno.ELOOP:
        return Refusal("gone", f"{what} is not there any more: a link lies in its place")
    return Refusal("wrong_state", f"{what} cannot be read: {error.strerror}")


async def ranged(
    view: LogView, header: str | None, offset: int | None, media: str, pool: Pool
) -> Response[None]:
    """The response with the whole view, the part from `offset`, or the range in `header`.

    Raises:
        Refusal: `range_not_satisfiable`.
        OSError: it can no longer be read.
    """
    first, last, status = min(offset or 0, view.size), view.size - 1, 200
    headers = {"Accept-Ranges": "bytes", "Content-Type": media}
    if header is not None and (asked := parse_range(header, view.size)) is not None:
        first, last, status = *asked, 206
        headers["Content-Range"] = f"bytes {first}-{last}/{view.size}"
    length = max(0, last - first + 1)
    headers["Content-Length"] = str(length)
    begin = await pool.run(lambda _: view.read(first, min(length, CHUNK_BYTES)))
    if len(begin) == length:
        return Response(body=begin, status=status, headers=headers)
    return Response(pieces=chunks(view, first, length, pool), status=status, headers=headers)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """(first, last) of one byte range; None for a header to be ignored (RFC 9110, 14.2)."""
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


async def chunks(view: LogView, first: int, length: int, pool: Pool) -> AsyncIterator[bytes]:
    """Yield the bytes in pieces, so that a large file is never in memory as a whole.

    Ends early if the file has become shorter, or can no longer be read.
    """
    while length > 0:
        read = partial(view.read, first, min(length, CHUNK_BYTES))
        try:
            data = await pool.run(partial(_without_stop, read))
        except OSError:
            return
        if not data:
            return
        yield data
        first += len(data)
        length -= len(data)


def _without_stop(read: Callable[[], bytes], _: StopFlag) -> bytes:
    """Read without the flag: it takes a moment only."""
    return read()
