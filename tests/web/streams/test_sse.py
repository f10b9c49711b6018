"""Server-sent events on the wire."""

import pytest

from web.streams.sse import NUMBER_MAX, event_number, format_event


def test_an_event_on_the_wire() -> None:
    log = format_event("log", {"text": "a\nb"}, 7)
    assert log == b'event: log\nid: 7\ndata: {"text":"a\\nb"}\n\n'
    assert format_event("end", {}) == b"event: end\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("7", 7),
        ("0", 0),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, NUMBER_MAX),
        ("0" * 30 + "7", 7),
        ("-1", None),
        ("x", None),
    ],
)
def test_a_place_to_go_on_from_is_a_number_of_ours(given: str, number: int | None) -> None:
    assert event_number(given) == number
    assert event_number(None) is None
