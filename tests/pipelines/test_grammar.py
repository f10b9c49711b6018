"""The grammar's data: every line can be filled, and a cast holds together."""

import random
from collections.abc import Iterator

import pytest

from pipelines.grammar import (
    BRACED,
    PLACE_FACTS,
    Table,
    draw_cast,
    fill,
    load,
    title_case,
)

NONE: frozenset[str] = frozenset()
WOVEN = {"found", "blank", "copied", "read", "ticked", "again", "echo"}
BEATS = ("rule", "sign", "deepen", "turn", "end", "titles")


def lines(table: Table) -> Iterator[str]:
    for value in table.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from lines(value)
        else:
            yield from (each for each in value if isinstance(each, str))


def test_every_line_names_only_facts() -> None:
    grammar = load()
    facts = set(draw_cast(grammar, random.Random(0), NONE).facts)
    woven = dict(grammar.lines)
    plain = {beat: woven.pop(beat) for beat in list(woven) if beat not in WOVEN}
    assert set(woven) == WOVEN
    for table in (grammar.places, grammar.objects, grammar.plots, plain):
        for line in lines(table):
            assert {name.lower() for name in BRACED.findall(line)} <= facts, line
    for line in lines(woven):
        assert {name.lower() for name in BRACED.findall(line)} <= facts | {"topic", "tags"}, line


def test_every_table_has_every_beat() -> None:
    grammar = load()
    for place in grammar.places.values():
        assert set(place) == {*PLACE_FACTS, "words", "names", "arrive", "night", "walk", "dawn"}
        assert len(place["night"]) >= 2
    for thing in grammar.objects.values():
        assert set(thing) == {"words", "name", "thing", "find", "wrong", "last"}
    for plot in grammar.plots.values():
        assert set(plot) == {"words", *BEATS}
        assert len(plot["deepen"]) >= 2


def test_no_line_is_there_twice() -> None:
    grammar = load()
    every = [
        line
        for table in (grammar.places, grammar.objects, grammar.plots, grammar.lines)
        for line in lines(table)
        if len(line) > 60
    ]
    assert len(every) == len(set(every))


def test_the_one_who_gives_the_rule_is_never_mistaken_for_the_hero() -> None:
    for seed in range(50):
        facts = draw_cast(load(), random.Random(seed), NONE).facts
        assert facts["he"] != facts["khe"]


@pytest.mark.parametrize(
    ("wanted", "role"), [("lighthouse", "relief keeper"), ("등대지기의", "relief keeper")]
)
def test_what_is_wanted_chooses_the_place(wanted: str, role: str) -> None:
    for seed in range(10):
        cast = draw_cast(load(), random.Random(seed), frozenset([wanted]))
        assert cast.facts["role"] == role


def test_a_fact_can_be_capitalised() -> None:
    facts = {"he": "she", "hour": "ten past three"}
    line = "{He} woke at {hour}. {HOUR}. It wasn't {he}."
    assert fill(line, facts) == "She woke at ten past three. TEN PAST THREE. It wasn\u2019t she."


def test_a_fact_is_not_filled_again() -> None:
    assert fill("{topic}", {"topic": "{hero}", "hero": "Mara"}) == "{hero}"


def test_a_title_keeps_small_words_small_but_the_first() -> None:
    assert (
        title_case("the tally at the Carrow Point light") == "The Tally at the Carrow Point Light"
    )
