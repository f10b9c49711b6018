"""Text for a terminal: it controls nothing, nothing of it is lost, JSON stays JSON."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from headway.terminal_text import clean, visible, visible_pieces

STEERING = {chr(c) for c in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F))}
STEERING |= {chr(c) for c in range(0x2066, 0x206A)}
ANY = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from(sorted(STEERING))))


def test_what_could_steer_a_terminal_is_made_visible() -> None:
    text = "a\x1b[2J\r\n\x9b1m\u202etxt.exe 밤\x7f"
    assert clean(text) == "a␛[2J␍␊\\u009b1m\\u202etxt.exe 밤\\u007f"
    assert visible(text) == "a␛[2J\r\n\\u009b1m\\u202etxt.exe 밤\\u007f"
    assert visible("10 %\r20 %\n\tdone\r") == "10 %␍20 %\n\tdone␍"


@given(ANY)
def test_no_text_controls_the_terminal(text: str) -> None:
    assert not STEERING & set(clean(text))
    assert not (STEERING - set("\n\t\r")) & set(visible(text))
    assert "\r" not in visible(text).replace("\r\n", "")


@given(ANY)
def test_json_stays_what_it_is(text: str) -> None:
    assert json.loads(visible(to_json({"a": text}, indent=2).decode())) == {"a": text}


@given(st.binary() | ANY.map(str.encode), st.lists(st.integers(0, 60)))
def test_pieces_look_like_the_whole(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    pieces = [data[begin:end] for begin, end in pairwise(edges)]
    whole = visible(data.decode(errors="backslashreplace"))
    assert "".join(visible_pieces(pieces)) == whole


@pytest.mark.parametrize("data", [b"\x9b31m", b"\xff\xc2"])
def test_bytes_that_are_no_text_are_named(data: bytes) -> None:
    assert "".join(visible_pieces([data])) == data.decode(errors="backslashreplace")
