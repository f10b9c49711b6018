"""Research cards: written, read, matched to a topic, quoted from."""

import random
from pathlib import Path

import pytest

from pipelines.card import (
    EXCERPT_LIMIT_CHARS,
    Card,
    Passage,
    best_match,
    excerpt,
    from_json,
    read_cards,
)

WELLS = Card(topic="Old wells", tags=("rope", "bucket"))
RADIO = Card(topic="radio", tags=("voice",), notes=("Numbers are read.",), model="tiny")


def test_a_card_reads_as_it_was_written() -> None:
    passage = Passage(rank=1, score=1.25, source="a.txt", text="물이 마르지 않는 우물")
    card = Card(topic="우물", tags=("물",), passages=(passage,), notes=("n",), model="tiny")
    assert from_json(card.to_json()) == card
    assert from_json(WELLS.to_json()) == WELLS


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"topic": "x"}', '{"topic": 1, "tags": 2, "passages": [3]}']
)
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a research card|Expecting value"):
        from_json(text)


def test_cards_are_read_and_what_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / WELLS.name).write_text(WELLS.to_json())
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / ".draft.json").write_text("{")
    assert [(path.name, card) for path, card in read_cards(tmp_path)] == [
        ("broken.json", None),
        (WELLS.name, WELLS),
    ]


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("old wells", WELLS),
        ("OLD  WELLS".replace("  ", " "), WELLS),
        ("well", WELLS),
        ("the bucket in the well", WELLS),
        ("the radio", RADIO),
        ("bucket", None),  # only a tag
        ("a well dug by three brothers in Spain", None),  # too little of the topic
        ("lighthouses", None),
        ("the", None),
        ("!!!", None),
    ],
)
def test_the_card_that_matches(topic: str, found: Card | None) -> None:
    assert best_match(topic, [RADIO, WELLS]) is found


def test_the_same_topic_beats_a_likeness() -> None:
    narrow = Card(topic="wells in winter")
    assert best_match("wells in winter", [Card(topic="winter wells"), narrow]) is narrow
    assert best_match("!?", [WELLS, exact := Card(topic="!?")]) is exact


def test_names_are_safe_and_apart() -> None:
    names = [Card(topic=topic).name for topic in ("등대", "우물", "a/b", "a b", "../x", "x" * 200)]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and "/" not in name and len(name) < 100 for name in names)
    assert Card(topic="A B").name == Card(topic="a b").name


def test_excerpts_name_their_source_and_take_up_notes() -> None:
    passage = Passage(rank=1, score=1.0, source="a.txt", text="A sentence of its own.")
    card = Card(topic="x", passages=(passage,), notes=("A note.",), model="tiny")
    assert sorted(card.excerpts(random.Random(0))) == [
        ("A note.", "model tiny"),
        ("A sentence of its own.", "a.txt"),
    ]


def test_an_excerpt_is_whole_sentences_and_short() -> None:
    text = " ".join(f"This is sentence number {n} of a long passage." for n in range(40))
    for seed in range(20):
        quoted = excerpt(text, random.Random(seed))
        assert quoted in text
        assert quoted.startswith("This")
        assert quoted.endswith(".")
        assert len(quoted) <= EXCERPT_LIMIT_CHARS


def test_a_sentence_without_end_is_cut_at_a_word() -> None:
    quoted = excerpt("word " * 200, random.Random(0))
    assert quoted.endswith("word…")
    assert len(quoted) <= EXCERPT_LIMIT_CHARS
    assert len(excerpt("x" * 1000, random.Random(0))) <= EXCERPT_LIMIT_CHARS
