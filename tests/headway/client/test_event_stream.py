"""Server-sent events, decoded from chunks."""

import httpx
import pytest

from headway.client.event_stream import EVENT_BYTES_MAX, EventDecoder, ServerEvent


def decoded(*chunks: bytes) -> list[ServerEvent]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def test_lines_end_at_newlines_only() -> None:
    text = "data: a\u2028b\r\ndata: c\x85d\n\ndata: rest".encode()
    whole = [ServerEvent(name="message", data="a\u2028b\nc\x85d")]
    assert decoded(text) == whole
    assert decoded(*(bytes([byte]) for byte in text)) == whole


def test_events_are_decoded_as_the_standard_defines() -> None:
    lines = [
        ": heartbeat",
        "event: log",
        "id: 5",
        "data: one",
        "data:  two",
        "unknown: x",
        "",
        "id: 6",
        "",
        "data",
        "",
        "data: cut short",
    ]
    assert decoded("\n".join(lines).encode()) == [
        ServerEvent(name="comment"),
        ServerEvent(name="log", id="5", data="one\n two"),
        ServerEvent(name="comment", id="6"),
        ServerEvent(name="message", id="6", data=""),
    ]


def test_an_endless_event_is_rejected() -> None:
    piece = b"x" * (EVENT_BYTES_MAX // 4)
    with pytest.raises(httpx.RemoteProtocolError, match="a line"):
        decoded(*[piece] * 5)
    with pytest.raises(httpx.RemoteProtocolError, match="an event"):
        decoded(*[b"data: " + piece + b"\n"] * 5)


def test_an_id_alone_is_an_event_too() -> None:
    lines = [": hello", "retry: 5", "id: 3", "", ": still", "id: 3", "", "id: 9", "", "data: x", ""]
    assert decoded("\n".join([*lines, ""]).encode()) == [
        ServerEvent(name="comment"),
        ServerEvent(name="comment", id="3"),
        ServerEvent(name="comment"),
        ServerEvent(name="comment", id="9"),
        ServerEvent(name="message", id="9", data="x"),
    ]
