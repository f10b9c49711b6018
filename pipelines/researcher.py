"""Research a topic: read the sources, rank their passages, and write a card.

Nothing is written before the card, and the card atomically, so signals can keep their default
effect.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.card import Card
from pipelines.index import Index
from pipelines.library import Library, share, write_whole
from pipelines.program import EXIT_DONE
from pipelines.report import ProgramReport
from pipelines.source import DOCUMENTS, Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class ResearchSettings:
    """The command line's arguments. No `sources`: earlier stories and the included documents."""

    library: Path
    topic: str
    sources: tuple[Path, ...] = ()
    max_passages: int = 8
    model: str | None = None


def run(settings: ResearchSettings) -> int:
    """Write the card and return the exit status: 0, also if nothing was found."""
    report = ProgramReport(os.environ.get("HEADWAY_REPORT"))
    library = Library(settings.library)
    card, sources = research(settings, library, report)
    text = card.to_json()
    write_whole(library.cards / card.name, text)
    share(card.name, text)
    report.progress(1.0, f"wrote {card.name}: {_summary(card, sources)}")
    report.result(_result(card, sources))
    return EXIT_DONE


def research(
    settings: ResearchSettings, library: Library, report: ProgramReport
) -> tuple[Card, Sources]:
    """Find passages on the topic: the card, and the sources that were read. Writes nothing."""
    sources = read_sources(settings.sources, library, report)
    report.progress(0.3, f"read {len(sources.pieces)} passages in {sources.files} files")
    with Index(sources.pieces) as index:
        passages = index.search(settings.topic, settings.max_passages)
        tags = index.tags(settings.topic, passages)
    card = Card(topic=settings.topic, tags=tags, passages=passages)
    if settings.model is not None:
        report.progress(0.6, f"asking {settings.model} about {settings.topic!r}")
        card = _annotate(card, settings.model)
    return card, sources


def read_sources(paths: tuple[Path, ...], library: Library, report: ProgramReport) -> Sources:
    """Read all sources. Raises `BadInput` if one of `paths` does not exist."""
    sources = Sources(report.note)
    for path in paths:
        sources.read(path, str(path))
    if not paths:
        sources.read(library.stories, "stories")
        sources.read(DOCUMENTS, "documents")
    if sources.skipped:
        report.note(f"{sources.skipped} files were skipped")
    return sources


def _annotate(card: Card, model_name: str) -> Card:
    """Add a model's notes on the topic and its passages to `card`."""
    from pipelines.model import model_from_environment
    from pipelines.prompt import write_notes

    model = model_from_environment(model_name)
    written = write_notes(model, card.topic, card.passages)
    return replace(card, notes=written.notes, tags=written.tags or card.tags, model=model.name)


def _summary(card: Card, sources: Sources) -> str:
    tags = f"; tags: {', '.join(card.tags)}" if card.tags else ""
    notes = f" and {len(card.notes)} notes" if card.notes else ""
    if not card.passages:
        return f"no passage on {card.topic!r} in {sources.files} files{notes}{tags}"
    return f"{len(card.passages)} passages{notes} on {card.topic!r}{tags}"


def _result(card: Card, sources: Sources) -> dict[str, object]:
    return {
        "topic": card.topic,
        "card": card.name,
        "passages": len(card.passages),
        "notes": len(card.notes),
        "tags": card.tags,
        "files": sources.files,
        "skipped": sources.skipped,
    }
