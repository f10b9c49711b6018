"""A research card: the result of research on a topic, which stories use.

One card per topic, in a file whose name depends on the topic, so new research replaces the old. The
same sources give the same card, byte for byte.
"""

import json
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.library import digest, slug
from pipelines.word import stems

MATCH_SHARE = 0.5
QUOTED_PASSAGES = 4
EXCERPT_LIMIT_CHARS = 320
EXCERPT_LEAST_CHARS = 60
SENTENCE_END = re.compile(r"(?<=[.!?\u2026\u3002\uff01\uff1f])[\"\u201d\u2019']?\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage of a source. `score` is BM25 negated: higher is better, comparable within one
    card.
    """

    rank: int
    score: float
    source: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """`notes` are the words of a model, if one was asked; they are not verified."""

    topic: str
    tags: tuple[str, ...] = ()
    passages: tuple[Passage, ...] = ()
    notes: tuple[str, ...] = ()
    model: str | None = None

    @property
    def name(self) -> str:
        key = normal(self.topic)
        return f"{slug(key, 'topic')}-{digest(key)}.json"

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n"

    def excerpts(self, rng: random.Random) -> Iterator[tuple[str, str]]:
        """Short quotations from notes and best passages, in random order, with their sources."""
        said = [(note, f"model {self.model}") for note in self.notes]
        said += [(passage.text, passage.source) for passage in self.passages[:QUOTED_PASSAGES]]
        for text, source in rng.sample(said, len(said)):
            yield excerpt(text, rng), source


def from_json(text: str) -> Card:
    """Parse a card. Raises ValueError if `text` is not one."""
    try:
        raw = json.loads(text)
        return Card(
            topic=str(raw["topic"]),
            tags=tuple(str(tag) for tag in raw["tags"]),
            passages=tuple(
                Passage(
                    rank=int(passage["rank"]),
                    score=float(passage["score"]),
                    source=str(passage["source"]),
                    text=str(passage["text"]),
                )
                for passage in raw["passages"]
            ),
            notes=tuple(str(note) for note in raw["notes"]),
            model=raw["model"] and str(raw["model"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a research card: {error!r}") from error


def read_cards(directory: Path) -> Iterator[tuple[Path, Card | None]]:
    """Every card of `directory` by name, or None where a file is not one."""
    for path in sorted(directory.glob("[!.]*.json")):
        try:
            yield path, from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            yield path, None


def best_match(topic: str, cards: Iterable[Card]) -> Card | None:
    """The card on `topic`: the same topic, otherwise the one that shares most of its words.

    At least MATCH_SHARE of the topic's words must be in the card's topic or tags, and at least one
    in the card's topic.
    """
    scored = [(_likeness(topic, card), card) for card in cards]
    matching = [(score, card) for score, card in scored if score is not None]
    return max(matching, key=lambda each: (each[0], each[1].name))[1] if matching else None


def _likeness(topic: str, card: Card) -> tuple[float, float] | None:
    if normal(topic) == normal(card.topic):
        return (2.0, 1.0)
    wanted, subject = stems(topic), stems(card.topic)
    if not wanted & subject:
        return None
    share = len(wanted & (subject | stems(" ".join(card.tags)))) / len(wanted)
    return (share, len(wanted & subject) / len(wanted | subject)) if share >= MATCH_SHARE else None


def normal(topic: str) -> str:
    return unicodedata.normalize("NFKC", topic).casefold().strip()


def excerpt(text: str, rng: random.Random) -> str:
    """Some sentences of `text`, from a random one on, of at most EXCERPT_LIMIT_CHARS characters."""
    sentences = SENTENCE_END.split(" ".join(text.split()))
    starts = [
        n for n in range(len(sentences)) if len(" ".join(sentences[n:])) >= EXCERPT_LEAST_CHARS
    ]
    start = rng.choice(starts or [0])
    chosen = sentences[start]
    for sentence in sentences[start + 1 :]:
        if (
            len(chosen) >= EXCERPT_LIMIT_CHARS / 2
            or len(chosen) + len(sentence) > EXCERPT_LIMIT_CHARS
        ):
            break
        chosen += f" {sentence}"
    if len(chosen) > EXCERPT_LIMIT_CHARS:
        chosen = chosen[:EXCERPT_LIMIT_CHARS].rpartition(" ")[0].rstrip(",;:—-") + "…"
    return chosen
