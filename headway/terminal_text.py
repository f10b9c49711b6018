"""Text for a terminal: nothing in it steers the terminal."""

import codecs
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TextIO

# As Unicode's pictures of them: ␛ for ESC.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
# DEL, C1 and what turns the direction, so that a line reads as another one (CVE-2021-42574): as
# JSON would write them, which keeps JSON what it is.
_ESCAPES = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_ONE_LINE = _PICTURES | _ESCAPES
_LINES = {code: shown for code, shown in _ONE_LINE.items() if chr(code) not in "\n\t\r"}
_LONE_CR = re.compile("\r(?!\n)")


def clean(text: object) -> str:
    """`text` on one line, with every character that could steer a terminal made visible."""
    return str(text).translate(_ONE_LINE)


def visible(text: str) -> str:
    """`text` on its lines, with everything else that could steer a terminal made visible."""
    return _LONE_CR.sub(_PICTURES[ord("\r")], text.translate(_LINES))


def seen(text: str, stream: TextIO) -> str:
    """`text` as it goes to this stream: on a terminal `visible`."""
    return visible(text) if stream.isatty() else text


def visible_pieces(pieces: Iterable[bytes]) -> Iterator[str]:
    """Each piece as `visible`; a character or a line end that two pieces share is not torn."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    rest = ""
    for piece in pieces:
        text = rest + decoder.decode(piece)
        rest = "\r" if text.endswith("\r") else ""
        yield visible(text[: len(text) - len(rest)])
    yield visible(rest + decoder.decode(b"", final=True))


def complain(*messages: str, status: int = 1) -> int:
    """Say what is wrong; gives the exit status."""
    with suppress(OSError):  # standard error cannot be written: the status says it alone
        for message in messages:
            print(f"headway: {seen(message, sys.stderr)}", file=sys.stderr)
    return status
