"""Print what programs and clients wrote, so that none of it controls the terminal.

On a terminal, escapes, other control characters and what changes the direction of text are shown as
characters; elsewhere the output is byte for byte the original. Every command prints text and JSON
with `show_text`, logs with `show_pieces`, and cells of tables and sentences through `clean`.
"""

import sys
from collections.abc import Iterable

from headway.terminal_text import for_stream, visible_pieces


def show_text(text: str, *, end: str = "\n", raw: bool = False) -> None:
    """Print on standard output; on a terminal as `visible`, unless `raw`."""
    sys.stdout.write(f"{text if raw else for_stream(text, sys.stdout)}{end}")
    sys.stdout.flush()


def show_pieces(pieces: Iterable[bytes], *, raw: bool = False) -> None:
    """Print bytes as they arrive; on a terminal as `visible`, unless `raw`."""
    if not raw and sys.stdout.isatty():
        encoding = sys.stdout.encoding
        pieces = (text.encode(encoding, "backslashreplace") for text in visible_pieces(pieces))
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
