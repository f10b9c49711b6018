"""What the command line prints. Whatever programs and clients wrote, it steers no terminal.

On a terminal escapes, other control characters and what turns the direction of text are shown as
characters; anywhere else the output is byte for byte what was meant. All that a verb prints goes
through here: text and JSON through `show_text`, logs through `show_pieces`, cells of tables and
sentences through `clean`.
"""

import codecs
import re
import sys
from collections.abc import Iterable, Iterator
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


def show_text(text: str, *, end: str = "\n", raw: bool = False) -> None:
    """Print on standard output; on a terminal as `visible`, but not with `raw`."""
    sys.stdout.write(f"{text if raw else seen(text, sys.stdout)}{end}")
    sys.stdout.flush()


def show_pieces(pieces: Iterable[bytes], *, raw: bool = False) -> None:
    """Print bytes as they come; on a terminal as `visible`, but not with `raw`."""
    if not raw and sys.stdout.isatty():
        encoding = sys.stdout.encoding
        pieces = (text.encode(encoding, "backslashreplace") for text in visible_pieces(pieces))
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def visible_pieces(pieces: Iterable[bytes]) -> Iterator[str]:
    """Each piece as `visible`; a character or a line end that two pieces share is not torn."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    rest = ""
    for piece in pieces:
        text = rest + decoder.decode(piece)
        rest = "\r" if text.endswith("\r") else ""
        yield visible(text[: len(text) - len(rest)])
    yield visible(rest + decoder.decode(b"", final=True))
