"""The full-text index: what is found, in which order, and that no topic is query syntax."""

from collections.abc import Iterator

import pytest

from pipelines.index import Index, query
from pipelines.source import Piece

PIECES = (
    Piece("a.txt", "On bells", "The bell rang twice and the ringer was not there to hear it."),
    Piece(
        "b.txt", "On mills", "A bell hung in the mill, and the bell was never rung; the bell hung."
    ),
    Piece("c.txt", "On wells", "The rope went down into the dark, and the bucket stayed below."),
    Piece("d.txt", "On wells", "The rope went down into the dark, and the bucket stayed below."),
    Piece("e.txt", "On snow", "It had snowed for eleven days and the road was gone."),
)


@pytest.fixture
def index() -> Iterator[Index]:
    with Index(PIECES) as index:
        yield index


def found(index: Index, topic: str) -> list[str]:
    return [passage.source for passage in index.search(topic, 10)]


def test_the_passage_that_says_more_of_it_comes_first(index: Index) -> None:
    assert found(index, "hung bell") == ["b.txt", "a.txt"]


def test_words_are_matched_by_their_stem(index: Index) -> None:
    assert found(index, "ropes") == ["c.txt"]
    assert found(index, "snowing") == ["e.txt"]


def test_the_title_of_a_text_counts_for_its_passages(index: Index) -> None:
    assert found(index, "mills") == ["b.txt"]
    assert found(index, "snow") == ["e.txt"]


def test_the_same_text_is_found_once(index: Index) -> None:
    assert found(index, "bucket") == ["c.txt"]


def test_words_that_say_nothing_find_nothing_beside_others(index: Index) -> None:
    assert found(index, "the bucket and the") == ["c.txt"]
    assert found(index, "the") != []


def test_the_limit_holds(index: Index) -> None:
    assert len(index.search("bell rope snow", 2)) == 2


def test_tags_set_the_passages_apart_and_leave_the_topic_out(index: Index) -> None:
    tags = index.tags("bells", index.search("bells", 10))
    assert "hung" in tags
    assert not {"bell", "bells", "the", "and"} & set(tags)
    assert index.tags("nothing", ()) == ()


def test_an_empty_index_finds_nothing() -> None:
    with Index(()) as index:
        assert index.search("bell", 5) == ()


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("drowned bell", '"drowned" OR "bell"'),
        ('say "bell" AND run', '"""bell""" OR "run"'),
        ("등대의 불빛", '"등대의"* OR "불빛"*'),
        ("灯台", '" 灯  台 "*'),
        ("!!! ---", '""'),
        ("the", '"the"'),
    ],
)
def test_a_topic_becomes_quoted_words(topic: str, expected: str) -> None:
    assert query(topic) == expected


@pytest.mark.parametrize("char", [chr(code) for code in (*range(1, 128), 0x0300, 0x200D, 0x1F56F)])
def test_no_character_breaks_the_query(index: Index, char: str) -> None:
    index.search(f"a{char}b {char} {char}{char}c", 5)
