"""The grammar of the stories: the people, places, things and lines of `grammar/*.toml`.

In the manner of Tracery (K. Compton, B. Kybartas, M. Mateas, "Tracery: an author-focused generative
text tool", ICIDS 2015), but what is drawn once stays: a `Cast` is the set of facts that hold for a
whole story, and a line may name only facts. `tale.py` chooses the lines of a story.
"""

import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.word import mentions

DIRECTORY = Path(__file__).parent / "grammar"
APOSTROPHE = "\u2019"
BRACED = re.compile(r"\{(\w+)\}")
PLACE_FACTS = (
    *("here", "role", "localrole", "room", "way", "door", "book", "out", "unit", "units"),
    "duty",
)
PRONOUNS = {
    "she": ("she", "her", "her", "hers", "herself"),
    "he": ("he", "him", "his", "his", "himself"),
}
SMALL_WORDS = frozenset(("a", "an", "the", "of", "at", "in", "on", "to", "and"))

Table = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    places: dict[str, Table]
    objects: dict[str, Table]
    plots: dict[str, Table]
    people: Table
    calendar: Table
    lines: dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The facts of a story, which stay the same from its first line to its last."""

    facts: dict[str, str]
    place: Table
    object: Table
    plot: Table


@cache
def load() -> Grammar:
    def read(name: str) -> Table:
        return tomllib.loads((DIRECTORY / f"{name}.toml").read_text(encoding="utf-8"))

    frame = read("frame")
    return Grammar(
        places=read("place"),
        objects=read("object"),
        plots=read("plot"),
        people=frame["people"],
        calendar=frame["calendar"],
        lines=frame["lines"],
    )


def draw_cast(grammar: Grammar, rng: random.Random, wanted: frozenset[str]) -> Cast:
    """A cast whose place, thing and plot match the stems `wanted`, where any do."""
    place = rng.choice(_fitting(grammar.places, wanted))
    thing = rng.choice(_fitting(grammar.objects, wanted))
    plot = rng.choice(_fitting(grammar.plots, wanted))
    facts = {name: place[name] for name in PLACE_FACTS}
    facts |= {"object": thing["name"], "thing": thing["thing"], "place": rng.choice(place["names"])}
    facts |= _people(grammar.people, rng) | _calendar(grammar.calendar, rng)
    facts = {name: value.replace("'", APOSTROPHE) for name, value in facts.items()}
    return Cast(facts=facts, place=place, object=thing, plot=plot)


def _fitting(tables: dict[str, Table], wanted: frozenset[str]) -> list[Table]:
    every = list(tables.values())
    return [table for table in every if mentions(wanted, table["words"])] or every


def _people(people: Table, rng: random.Random) -> dict[str, str]:
    hero, pronoun = rng.choice(people["heroes"])
    lost, lost_pronoun, bond = rng.choice(people["lost"])
    # The person who gives the rule has the other pronoun, so that "she told him" is unambiguous.
    local, local_pronoun = rng.choice([each for each in people["locals"] if each[1] != pronoun])
    facts = {"hero": hero, "heroname": f"{hero} {rng.choice(people['surnames'])}"}
    facts |= {"lost": lost, "bond": bond, "local": local}
    he, him, his, hers, himself = PRONOUNS[pronoun]
    facts |= {"he": he, "him": him, "his": his, "hers": hers, "himself": himself}
    he, him, his, _, _ = PRONOUNS[lost_pronoun]
    facts |= {"lhe": he, "lhim": him, "lhis": his}
    he, him, his, _, himself = PRONOUNS[local_pronoun]
    return facts | {"khe": he, "khim": him, "khis": his, "khimself": himself}


def _calendar(calendar: Table, rng: random.Random) -> dict[str, str]:
    count, more = rng.choice(calendar["counts"])
    return {
        "season": rng.choice(calendar["seasons"]),
        "hour": rng.choice(calendar["hours"]),
        "count": count,
        "more": more,
    }


def fill(line: str, facts: dict[str, str]) -> str:
    """`line` with its facts inserted; `{Fact}` gets a capital, `{FACT}` is all capitals."""

    def put(match: re.Match[str]) -> str:
        name = match.group(1)
        value = facts[name.lower()]
        if len(name) > 1 and name.isupper():
            return value.upper()
        return _capital(value) if name[0].isupper() else value

    return BRACED.sub(put, line.replace("'", APOSTROPHE))


def title_case(title: str) -> str:
    """A capital for every word but the small ones, and always for the first."""
    first, *rest = title.split()
    return " ".join([_capital(first), *(w if w in SMALL_WORDS else _capital(w) for w in rest)])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
