"""What the command line prints. Whatever programs and clients wrote, it steers no terminal.

On a terminal escapes, other control characters and what turns the direction of text are shown as
characters; anywhere else the output is byte for byte what was meant. All that a verb prints goes
through here: text and JSON through `show_text`, logs through `show_pieces`, cells of tables and
sentences through `clean`.
"""

import sys
from collections.abc import Iterable

from headway.terminal_text import seen, visible_pieces


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
