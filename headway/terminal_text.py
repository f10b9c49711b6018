"""Text for a terminal, in which nothing controls the terminal."""

import codecs
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TextIO

# Unicode's pictures of control characters: ␛ for ESC.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
# DEL, C1 and what changes the direction, so that a line reads as another one (CVE-2021-42574): as
# JSON escapes, so that JSON keeps its meaning.
_ESCAPES = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_ONE_LINE = _PICTURES | _ESCAPES
_LINES = {code: shown for code, shown in _ONE_LINE.items() if chr(code) not in "\n\t\r"}
_LONE_CR = re.compile("\r(?!\n)")


def clean(text: object) -> str:
    """`text` on one line, with every character that could control a terminal made visible."""
    return str(text).translate(_ONE_LINE)


def visible(text: str) -> str:
    """`text` on its lines, with every other control character made visible."""
    return _LONE_CR.sub(_PICTURES[ord("\r")], text.translate(_LINES))


def for_stream(text: str, stream: TextIO) -> str:
    """`text` as it is written to this stream: on a terminal as `visible`."""
    return visible(text) if stream.isatty() else text


def visible_pieces(pieces: Iterable[bytes]) -> Iterator[str]:
    """Each piece as `visible`; a character or a line end in two pieces is not split."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    rest = ""
    for piece in pieces:
        text = rest + decoder.decode(piece)
        rest = "\r" if text.endswith("\r") else ""
        yield visible(text[: len(text) - len(rest)])
    yield visible(rest + decoder.decode(b"", final=True))


def print_errors(*messages: str, status: int = 1) -> int:
    """Print what is wrong on standard error, and return the exit status."""
    with suppress(OSError):  # if standard error cannot be written, the status remains
        for message in messages:
            print(f"headway: {for_stream(message, sys.stderr)}", file=sys.stderr)
    return status
