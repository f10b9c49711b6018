"""Words, and when two are the same."""

import pytest

from pipelines.word import mentions, stems, words


def test_words_are_folded_and_keep_their_apostrophes() -> None:
    assert words("The keeper's LOG_book, 등대!") == ["the", "keeper's", "log", "book", "등대"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the old wells", {"well"}),
        ("glass bus", {"glass", "bus"}),
        ("gas", {"gas"}),
        ("the of", set()),
    ],
)
def test_stems_leave_out_what_says_nothing(text: str, expected: set[str]) -> None:
    assert stems(text) == expected


def test_a_particle_does_not_hide_a_korean_noun() -> None:
    assert mentions(frozenset(["등대의"]), ["등대"])
    assert not mentions(frozenset(["lighthouses"]), ["lighthouse"])
    assert mentions(stems("lighthouses"), ["lighthouse"])
