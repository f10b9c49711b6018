"""What a program reports: JSON lines in a file of its own, progress and result.

The last valid line of each kind counts, so added lines are read from the end. The file is
untrusted: the bytes that are read, and the lines that are parsed, are limited, whatever its length.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from pydantic_core import from_json, to_json

from actors.host import process_tree
from actors.host.file_tree import open_in
from config.run_limits import REPORT_LIMIT_BYTES
from headway.model.job import Progress

LINE_BYTES_MAX = 1024 * 1024
READ_BYTES = 4 * 1024 * 1024
LINES_MAX = 100_000
"""How many lines of one run are parsed, which takes 0.2 s. Lines without effect are not parsed."""
MESSAGE_CHARACTERS_MAX = 1_000
_PROGRESS = (b"progress", b"message")
_ESCAPE = b"\\u"  # it may encode one of the names
log = structlog.get_logger()


class Report:
    """The report of one run, as far as it was read. `result` is JSON text.

    `fault`: why some of it was not read. `is_cut`: it is longer than its limit.
    """

    def __init__(self, path: Path, limit_bytes: int = REPORT_LIMIT_BYTES) -> None:
        self.progress: Progress | None = None
        self.result: str | None = None
        self.fault: str | None = None
        self.is_cut = False
        self._path = path
        self._limit_bytes = limit_bytes
        self._offset = 0
        self._lines = 0
        self._has_warned = False

    def read(self, *, ended: bool = False) -> bool:
        """Read the added lines; whether they changed the progress.

        When the program has `ended`, a last line without a newline counts too.
        """
        before = self.progress
        try:
            descriptor = process_tree.with_reserved_descriptor(lambda: open_in(self._path))
        except FileNotFoundError:
            return False
        except OSError as error:
            self.fault = f"its report cannot be read: {error.strerror}"
            return False
        try:
            self._read(descriptor, ended=ended)
        except OSError as error:
            self.fault = f"its report cannot be read: {error.strerror}"
        finally:
            os.close(descriptor)
        return self.progress != before

    def _read(self, descriptor: int, *, ended: bool) -> None:
        size = os.fstat(descriptor).st_size
        self._read_to(descriptor, min(size, self._limit_bytes), ended=ended)
        if ended and size > self._limit_bytes:
            self.is_cut = True
            self.fault = (
                f"its report has {size} bytes: of those after the first {self._limit_bytes}"
                f" only the last {LINE_BYTES_MAX} were read"
            )
            self._offset = max(self._offset, size - LINE_BYTES_MAX)
            self._read_to(descriptor, size, ended=True)

    def _read_to(self, descriptor: int, end: int, *, ended: bool) -> None:
        while self._offset < end:
            data = os.pread(descriptor, min(READ_BYTES, end - self._offset), self._offset)
            at_end = self._offset + len(data) >= end
            length = data.rfind(b"\n") + 1
            if ended and at_end:
                length = len(data)
            elif length == 0 and len(data) > LINE_BYTES_MAX:
                self._warn(f"a line is longer than {LINE_BYTES_MAX} bytes")
                length = len(data)
            self._offset += length
            self._take_in(data[:length])
            if length == 0:
                return

    def _take_in(self, data: bytes) -> None:
        """Read the lines backwards, until the last one of each kind was found."""
        wanted = {word: len(data) for word in (*_PROGRESS, b"result", _ESCAPE)}
        progress = result = False
        for line in _lines_with(data, wanted):
            if self._lines >= LINES_MAX:
                self.fault = f"its report has more than {LINES_MAX} lines that had to be read"
                return
            self._lines += 1
            if (entry := self._parse(line)) is None:
                continue
            if not progress and ("progress" in entry or "message" in entry):
                progress = self._take_progress(entry)
            if not result and "result" in entry:
                result = self._take_result(entry["result"])
            for word in _PROGRESS if progress else ():
                wanted.pop(word, None)
            if result:
                wanted.pop(b"result", None)
            if progress and result:
                return

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        try:
            if len(line) > LINE_BYTES_MAX:
                raise ValueError(f"longer than {LINE_BYTES_MAX} bytes")
            entry = from_json(line, allow_inf_nan=False)
            if not isinstance(entry, dict):
                raise ValueError("not a JSON object")
        except (ValueError, OverflowError, RecursionError) as error:
            self._warn(str(error))
            return None
        return entry

    def _take_progress(self, entry: dict[str, Any]) -> bool:
        try:
            self.progress = _progress(entry)
        except (ValueError, OverflowError, RecursionError) as error:
            self._warn(str(error))
            return False
        return True

    def _take_result(self, result: Any) -> bool:
        try:
            self.result = to_json(result).decode()
        except (ValueError, OverflowError, RecursionError) as error:
            self._warn(str(error))
            return False
        return True

    def _warn(self, why: str) -> None:
        """Log once for a run: a program may write a million such lines."""
        if not self._has_warned:
            self._has_warned = True
            log.warning("report line ignored", run_id=self._path.parent.name, why=why)


def _lines_with(data: bytes, wanted: dict[bytes, int]) -> Iterator[bytes]:
    """Yield lines that contain one of the words, from the last to the first.

    `wanted` maps each word to where it was searched last; a word that is removed is not searched
    any more. The search for each word passes `data` once, however many lines there are.
    """
    end = len(data)
    while wanted:
        for word, at in wanted.items():
            if at >= end:
                wanted[word] = data.rfind(word, 0, end)
        last = max(wanted.values())
        if last < 0:
            return
        begin = data.rfind(b"\n", 0, last) + 1
        stop = data.find(b"\n", last, end)
        yield data[begin : end if stop < 0 else stop]
        end = begin


def _progress(entry: dict[str, Any]) -> Progress:
    fraction = entry.get("progress")
    message = entry.get("message")
    if fraction is not None:
        if isinstance(fraction, bool) or not isinstance(fraction, int | float):
            raise ValueError("progress must be a number from 0 to 1")
        fraction = min(1.0, max(0.0, float(fraction)))
    return Progress(
        fraction=fraction,
        message=None if message is None else _text(message),
    )


def _text(message: object) -> str:
    """A text that can be stored and shown, whatever the program wrote."""
    text = message if isinstance(message, str) else to_json(message).decode()
    return text[:MESSAGE_CHARACTERS_MAX].encode(errors="replace").decode()
