"""A story: its composition from beats, and its form in Markdown.

The skeleton depends on the seed and the topic alone; what a card adds is drawn separately, so the
same seed with a card is the same story with the card woven in.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pipelines import grammar
from pipelines.card import Card
from pipelines.fingerprint import simhash
from pipelines.library import slug
from pipelines.word import stems

MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")
WOVEN_TAGS = 3
DEEPENINGS = 2


@dataclass(frozen=True, kw_only=True)  # no slots: the fingerprint is cached
class Story:
    title: str
    paragraphs: tuple[str, ...]
    seed: int
    topic: str = ""
    model: str | None = None
    quoted: tuple[str, ...] = ()

    @property
    def body(self) -> str:
        return "\n\n".join(self.paragraphs)

    @cached_property
    def fingerprint(self) -> int:
        return simhash(self.body)

    @property
    def stem(self) -> str:
        return f"{slug(self.title, 'story')}-{self.fingerprint:016x}"

    def to_markdown(self) -> str:
        remarks = [f"Seed {self.seed}."]
        if self.topic:
            remarks.append(f"Topic: {escape(self.topic)}.")
        if self.model:
            remarks.append(f"Written by {escape(self.model)}.")
        if self.quoted:
            remarks.append(f"Quoted: {escape('; '.join(self.quoted))}.")
        return f"# {self.title}\n\n{self.body}\n\n---\n\n*{' '.join(remarks)}*\n"


def escape(text: str) -> str:
    """`text` on one line, without Markdown markup."""
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def compose(seed: int, topic: str = "", card: Card | None = None) -> Story:
    """The story of `seed`. A topic influences the choice of place, thing and plot."""
    rng = random.Random(f"story {seed}")
    cast = grammar.draw_cast(grammar.load(), rng, stems(topic))
    teller = _Composer(cast, rng)
    woven = _Weave(teller, topic, card, random.Random(f"weave {seed}"))
    paragraphs = tuple(_paragraphs(teller, woven))
    title = grammar.fill(rng.choice(cast.plot["titles"]), cast.facts)
    return Story(
        title=grammar.title_case(title),
        paragraphs=paragraphs,
        seed=seed,
        topic=topic,
        quoted=tuple(dict.fromkeys(woven.quoted)),
    )


class _Composer:
    """Draws lines for one cast, each at most once."""

    def __init__(self, cast: grammar.Cast, rng: random.Random) -> None:
        self.cast = cast
        self._rng = rng
        self._lines = grammar.load().lines
        self._unused: dict[int, list[str]] = {}

    def frame(self, beat: str) -> str:
        return self.draw(self._lines[beat])

    def draw(self, lines: list[str]) -> str:
        unused = self._unused.setdefault(id(lines), list(lines))
        return self.fill(unused.pop(self._rng.randrange(len(unused))))

    def draw_in_order(self, lines: list[str], count: int) -> list[str]:
        return [self.fill(lines[n]) for n in sorted(self._rng.sample(range(len(lines)), count))]

    def fill(self, line: str) -> str:
        return grammar.fill(line, self.cast.facts)


class _Weave:
    """What the topic and the card add. Empty everywhere if there is no topic."""

    def __init__(
        self, teller: _Composer, topic: str, card: Card | None, rng: random.Random
    ) -> None:
        self._facts = teller.cast.facts | {"topic": escape(topic)}
        self._topic, self._card, self._rng = topic, card, rng
        self._excerpts = card.excerpts(rng) if card else iter(())
        self.quoted: list[str] = []

    def found(self) -> Iterator[str]:
        """The paragraphs in which the topic is found, with a first quotation if there is one."""
        if not self._topic:
            return
        quotation = self._quotation()
        if quotation is None:
            yield self._line("found") + " " + self._line("blank")
            return
        yield self._line("found") + " " + self._line("copied")
        yield quotation
        yield " ".join(filter(None, [self._line("read"), self._tags()]))

    def again(self) -> Iterator[str]:
        quotation = self._quotation() if self._topic else None
        if quotation is not None:
            yield self._line("again")
            yield quotation

    def echo(self) -> Iterator[str]:
        if self._topic:
            yield self._line("echo")

    def _quotation(self) -> str | None:
        text, source = next(self._excerpts, (None, None))
        if text is None or source is None:
            return None
        self.quoted.append(source)
        return f"> {escape(text)}"

    def _tags(self) -> str:
        tags = self._card.tags[:WOVEN_TAGS] if self._card else ()
        self._facts["tags"] = ", ".join(f"*{escape(tag)}*" for tag in tags)
        return self._line("ticked") if tags else ""

    def _line(self, beat: str) -> str:
        return grammar.fill(self._rng.choice(grammar.load().lines[beat]), self._facts)


def _paragraphs(teller: _Composer, woven: _Weave) -> Iterator[str]:
    place, thing, plot = teller.cast.place, teller.cast.object, teller.cast.plot
    first, second = teller.draw_in_order(plot["deepen"], DEEPENINGS)
    yield f"{teller.frame('opening')} {teller.draw(place['arrive'])}"
    yield f"{teller.frame('work')} {teller.frame('grief')}"
    yield teller.draw(plot["rule"])
    yield f"{teller.draw(place['night'])} {teller.draw(thing['find'])}"
    yield from woven.found()
    yield teller.draw(plot["sign"])
    yield f"{teller.draw(place['dawn'])} {teller.frame('doubt')}"
    yield first
    yield f"{teller.frame('dread')} {teller.draw(place['walk'])} {teller.draw(thing['wrong'])}"
    yield from woven.again()
    yield second
    yield " ".join([teller.draw(place["night"]), *woven.echo()])
    yield from teller.draw(plot["turn"]).split("\n\n")
    yield teller.draw(plot["end"])
    yield teller.draw(thing["last"])
