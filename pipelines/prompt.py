"""The prompts for a model, and how its answer becomes a story or a card."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.card import Card, Passage
from pipelines.model import LanguageModel
from pipelines.program import ProgramFault
from pipelines.tale import Story, escape

STORY_SYSTEM = (
    "You write short horror stories in Markdown: a title as a # heading, then 600 to 900 words in"
    " paragraphs, with a beginning, a turn and an end. Keep to one protagonist, one place and one"
    " object. Dread rather than gore. Write in the language of the topic, nothing but the story."
)
NOTES_SYSTEM = (
    "You prepare research notes for a writer. Answer with at most 8 notes, each on one line that"
    " begins with '- ', then one line that begins with 'Tags: ' and lists up to 8 words with commas"
    " between them. Write in the language of the topic, and nothing else."
)
THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+(.+)$")
TAGS_LINE = re.compile(r"^\W*tags\W*:\W*(.+)$", re.IGNORECASE)
NOTES_LIMIT = 8
TAGS_LIMIT = 8
QUOTED_PASSAGES = 4


@dataclass(frozen=True, slots=True)
class Notes:
    notes: tuple[str, ...]
    tags: tuple[str, ...]


def write_story(model: LanguageModel, seed: int, topic: str, card: Card | None) -> Story:
    """A story by `model` for `seed`, which the model may ignore."""
    user = f"Topic: {topic}" if topic else "The topic is yours to choose."
    if card:
        user += _background(card.tags, [*card.notes, *(p.text for p in card.passages)])
    title, paragraphs = read_story(model.ask(STORY_SYSTEM, user, seed=seed))
    if not paragraphs:
        raise ProgramFault(f"model {model.name!r} answered with no story")
    return Story(
        title=escape(title or topic or "Untitled"),
        paragraphs=paragraphs,
        seed=seed,
        topic=topic,
        model=model.name,
    )


def read_story(answer: str) -> tuple[str, tuple[str, ...]]:
    """The title, empty if there is none, and the paragraphs of an answer."""
    text = THINKING.sub("", answer).strip()
    title = ""
    if text.startswith("#"):
        heading, _, text = text.partition("\n")
        title = heading.strip("# *")
    return title, tuple(block.strip() for block in re.split(r"\n\s*\n", text) if block.strip())


def write_notes(model: LanguageModel, topic: str, passages: Sequence[Passage]) -> Notes:
    user = f"Topic: {topic}" + _background((), [passage.text for passage in passages])
    return read_notes(model.ask(NOTES_SYSTEM, user))


def read_notes(answer: str) -> Notes:
    """Notes and tags of an answer; one without bullets is a note per line."""
    lines = [line.strip() for line in THINKING.sub("", answer).splitlines() if line.strip()]
    tagged = [match for line in lines if (match := TAGS_LINE.match(line))]
    plain = [line for line in lines if not TAGS_LINE.match(line)]
    bullets = [match.group(1).strip() for line in plain if (match := BULLET.match(line))]
    tags = [tag.strip(" .*#") for match in tagged for tag in match.group(1).split(",")]
    return Notes(
        notes=tuple(bullets or plain)[:NOTES_LIMIT],
        tags=tuple(tag for tag in tags if tag)[:TAGS_LIMIT],
    )


def _background(tags: Sequence[str], texts: Sequence[str]) -> str:
    background = ""
    if tags:
        background += f"\n\nMotifs: {', '.join(tags)}"
    if texts:
        background += "\n\nBackground, to draw upon:\n\n" + "\n\n".join(texts[:QUOTED_PASSAGES])
    return background
