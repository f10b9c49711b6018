"""Count the values in a JSON text, before anything is built from them.

One byte of text can become a hundred bytes of memory, and a million values keep the interpreter
busy for seconds. A string is one value, whatever it contains.
"""

from collections.abc import Iterator

from config.weight import LIGHT_BYTES_MAX, LIGHT_VALUES_MAX
from headway.model.problem import Refusal

BODY_BYTES_MAX = 2 * 1024 * 1024
"""Limit of a body that is no batch: the largest params (1 MiB), with many characters escaped."""
VALUES_MAX = 20_000
"""Limit of a body that is no batch, and of each Job of a batch."""
NESTING_MAX = 64

PIECE_BYTES = 64 * 1024
_BRACKETS_MAX = 100_000
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

Text = bytes | bytearray


def is_light_text(body: Text) -> bool:
    """Whether it can be parsed on the event loop, by its size or else by a quick count."""
    if len(body) <= 2 * LIGHT_VALUES_MAX:  # a value takes two bytes, with its comma
        return True
    return len(body) <= LIGHT_BYTES_MAX and _values_at_most(body) <= LIGHT_VALUES_MAX


def check_values(body: Text) -> None:
    """Raise if it holds more values than one request may.

    Raises:
        Refusal: `too_large`, or `malformed_json` if it is also nested too deep.
    """
    if len(body) <= 2 * VALUES_MAX or _values_at_most(body) <= VALUES_MAX:
        return
    if count_values(body, VALUES_MAX) > VALUES_MAX:
        if is_deep(body):
            raise too_deep()
        raise Refusal("too_large", f"the body holds more than {VALUES_MAX} values: send less")


def too_deep() -> Refusal:
    """The refusal of a body that is nested too deep."""
    why = f"it is nested deeper than {NESTING_MAX}"
    return Refusal("malformed_json", f"the body is not acceptable JSON: {why}")


def count_values(body: Text, most: int) -> int:
    """How many values the text holds, or some number beyond `most`."""
    count = 1
    for text in _unquoted(body):
        count += _separators(text)
        if count > most:
            break
    return count


def is_deep(body: Text) -> bool:
    """Whether the text is nested deeper than `NESTING_MAX`, by its first brackets."""
    depth = seen = 0
    for text in _unquoted(body):
        brackets = text.translate(None, _NO_BRACKETS)
        for bracket in brackets:
            depth += 1 if bracket in b"[{" else -1
            if depth > NESTING_MAX:
                return True
        seen += len(brackets)
        if seen > _BRACKETS_MAX:
            break
    return False


def _values_at_most(body: Text) -> int:
    """An upper bound of the count, which includes the content of strings: quicker."""
    return 1 + _separators(body)


def _separators(text: Text) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _unquoted(body: Text) -> Iterator[bytes]:
    """Yield the text without its strings, in pieces that take a millisecond at most."""
    inside, carried = 0, b""
    for begin in range(0, len(body), PIECE_BYTES):
        piece = (carried + body[begin : begin + PIECE_BYTES]).replace(b"\\\\", b"")
        carried = b"\\" if piece.endswith(b"\\") else b""
        segments = piece.removesuffix(b"\\").replace(b'\\"', b"").split(b'"')
        yield b"".join(segments[inside::2])
        inside ^= (len(segments) - 1) % 2
