"""Server-sent events on the wire (WHATWG HTML, 9.2), the same for every stream."""

import re

from pydantic_core import to_json

SSE = "text/event-stream"
SSE_HEADERS = {"Content-Type": SSE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
HEARTBEAT_S = 45.0
"""Proxies and clients commonly close a silent stream after 60 seconds."""

DIGITS_MAX = 18
NUMBER_MAX = 10**DIGITS_MAX - 1


def format_event(name: str, data: object, number: int | None = None) -> bytes:
    """One server-sent event (WHATWG HTML, 9.2)."""
    return frame(name, to_json(data), number)


def frame(name: str, text: bytes, number: int | None = None) -> bytes:
    """One server-sent event whose data is this JSON text, without line breaks."""
    head = f"event: {name}\n" if number is None else f"event: {name}\nid: {number}\n"
    return b"%sdata: %s\n\n" % (head.encode(), text)


def event_number(last_event_id: str | None) -> int | None:
    """The number in a Last-Event-ID header; None if it is no number.

    For one of more than `DIGITS_MAX` digits it is `NUMBER_MAX`, which is never reached either.
    """
    if last_event_id is None or not re.fullmatch(r"[0-9]+", last_event_id):
        return None
    digits = last_event_id.lstrip("0")
    return int(digits or "0") if len(digits) <= DIGITS_MAX else NUMBER_MAX
