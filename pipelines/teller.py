"""Tell stories one after another, until there are enough, time is over, or a signal arrives.

A signal ends it between two stories; waiting, for the interval or for a model, ends at once.
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipelines.card import Card, best_match, read_cards
from pipelines.library import Library, share, write_whole
from pipelines.program import EXIT_DONE, EXIT_SKIPPED, SEED_LIMIT
from pipelines.registry import Duplicate, Entry, Registry
from pipelines.report import ProgramReport
from pipelines.stop import Stop, StopRequested
from pipelines.tale import Story, compose

DRAWS_LIMIT = 10
LISTED_STORIES_LIMIT = 100

Author = Callable[[int], Story]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorySettings:
    """The command line's arguments. `duration_s` None: no bound; `seed` None: drawn."""

    library: Path
    max_stories: int = 1
    duration_s: float | None = None
    interval_s: float = 0.0
    dedup: bool = False
    topic: str = ""
    seed: int | None = None
    model: str | None = None


@dataclass(slots=True)
class StoryOutcome:
    """What was told so far; the result that is reported."""

    topic: str
    card: str | None
    written: int = 0
    duplicates: int = 0
    stories: list[dict[str, Any]] = field(default_factory=list)
    ended: Literal["done", "duration", "signal", "failed"] = "failed"

    def add(self, name: str, story: Story) -> None:
        self.written += 1
        if len(self.stories) < LISTED_STORIES_LIMIT:
            self.stories.append(
                {
                    "title": story.title,
                    "file": name,
                    "seed": story.seed,
                    "fingerprint": f"{story.fingerprint:016x}",
                }
            )

    def to_result(self) -> dict[str, Any]:
        return {
            "written": self.written,
            "duplicates": self.duplicates,
            "ended": self.ended,
            "topic": self.topic,
            "card": self.card,
            "stories": self.stories,
        }


@dataclass(frozen=True, slots=True)
class StoryClock:
    """The seam for tests: monotonic seconds, and a wait in seconds that a signal ends."""

    now: Callable[[], float]
    wait: Callable[[float], None]


def run(settings: StorySettings) -> int:
    """Tell the stories and return the exit status: 0, 77 if all were duplicates, 128 + signal."""
    report = ProgramReport(os.environ.get("HEADWAY_REPORT"))
    library = Library(settings.library)
    card = _find_card(settings.topic, library, report)
    outcome = StoryOutcome(settings.topic, card.name if card else None)
    try:
        with Stop() as stop, Registry(library.registry) as registry:
            author = _author(settings, card, stop)
            clock = StoryClock(time.monotonic, stop.wait)
            Teller(settings, library, registry, author, report, stop, clock).tell(outcome)
    finally:
        report.result(outcome.to_result())
    if outcome.ended == "signal":
        report.say(f"stopped by a signal with {outcome.written} written")
        return stop.exit_code
    return EXIT_SKIPPED if outcome.duplicates and not outcome.written else EXIT_DONE


def _find_card(topic: str, library: Library, report: ProgramReport) -> Card | None:
    if not topic:
        return None
    cards = []
    for path, card in read_cards(library.cards):
        if card is None:
            report.note(f"skipped {path.name}: not a research card")
        else:
            cards.append(card)
    found = best_match(topic, cards)
    report.say(f"research card: {found.name}" if found else f"no research card matches {topic!r}")
    return found


def _author(settings: StorySettings, card: Card | None, stop: Stop) -> Author:
    if settings.model is None:
        return lambda seed: compose(seed, settings.topic, card)
    from pipelines.model import model_from_environment
    from pipelines.prompt import write_story

    model = model_from_environment(settings.model)
    return lambda seed: stop.during(lambda: write_story(model, seed, settings.topic, card))


@dataclass(slots=True)
class Teller:
    """Everything that telling needs; `run` and the tests provide it."""

    settings: StorySettings
    library: Library
    registry: Registry
    author: Author
    report: ProgramReport
    stop: Stop
    clock: StoryClock
    _deadline: float | None = None

    def tell(self, outcome: StoryOutcome) -> None:
        """Tell up to `max_stories`, and update `outcome` after each."""
        if self.settings.duration_s is not None:
            self._deadline = self.clock.now() + self.settings.duration_s
        try:
            for number in range(self.settings.max_stories):
                if number and not self._pause():
                    outcome.ended = "duration"
                    return
                self.stop.check()
                self._tell_one(number, outcome)
        except StopRequested:
            outcome.ended = "signal"
        else:
            outcome.ended = "done"

    def _pause(self) -> bool:
        """Wait for the interval. False if there is no time for another story after it."""
        interval_s = self.settings.interval_s
        if self._late_after(interval_s):
            return False
        self.clock.wait(interval_s)
        return not self._late_after(0.0)

    def _late_after(self, wait_s: float) -> bool:
        return self._deadline is not None and self.clock.now() + wait_s >= self._deadline

    def _tell_one(self, number: int, outcome: StoryOutcome) -> None:
        done = f"{number + 1}/{self.settings.max_stories}"
        fraction = (number + 1) / self.settings.max_stories
        near = ""
        for seed in self._seeds(number):
            story = self.author(seed)
            try:
                name = self._keep(story)
            except Duplicate as duplicate:
                near = f"seed {seed} tells {duplicate.name} again"
                if self._late_after(0.0):
                    break
                continue
            outcome.add(name, story)
            self.report.progress(fraction, f"{done} wrote {name} “{story.title}” (seed {seed})")
            return
        outcome.duplicates += 1
        self.report.progress(fraction, f"{done} duplicate, nothing written: {near}")

    def _seeds(self, number: int) -> list[int]:
        """The seeds to try for story `number`: with --seed that one, otherwise several draws."""
        if self.settings.seed is not None:
            return [(self.settings.seed + number) % (SEED_LIMIT + 1)]
        draws = DRAWS_LIMIT if self.settings.dedup else 1
        return [random.SystemRandom().randrange(2**32) for _ in range(draws)]

    def _keep(self, story: Story) -> str:
        """Register and write `story`, and share a copy. Raises `Duplicate` under --enable-dedup."""
        text = story.to_markdown()
        entry = Entry(
            stem=story.stem,
            fingerprint=story.fingerprint,
            title=story.title,
            topic=story.topic,
            seed=story.seed,
        )
        name = self.registry.admit(
            entry,
            lambda name: write_whole(self.library.stories / name, text),
            unique=self.settings.dedup,
        )
        share(name, text)
        return name
