"""Telling one story after another, on a clock and with an author of the test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.library import Library
from pipelines.registry import Registry
from pipelines.report import ProgramReport
from pipelines.stop import Stop
from pipelines.tale import Story, compose
from pipelines.teller import DRAWS_LIMIT, Author, StoryClock, StoryOutcome, StorySettings, Teller

Tell = Callable[..., StoryOutcome]


class FakeClock:
    """Time that passes only by waiting and by telling."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.now_s

    def wait(self, wait_s: float) -> None:
        self.waits.append(wait_s)
        self.now_s += wait_s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stop() -> Iterator[Stop]:
    with Stop() as stop:
        yield stop


@pytest.fixture
def tell(tmp_path: Path, clock: FakeClock, stop: Stop) -> Iterator[Tell]:
    library = Library(tmp_path / "library")
    with Registry(library.registry) as registry:

        def tell(author: Author = compose, **options: object) -> StoryOutcome:
            settings = StorySettings(library=library.root, **options)  # type: ignore[arg-type]
            seam = StoryClock(now=clock.now, wait=clock.wait)
            outcome = StoryOutcome(topic="", card=None)
            Teller(settings, library, registry, author, ProgramReport(None), stop, seam).tell(
                outcome
            )
            return outcome

        yield tell


def test_it_waits_between_stories_and_neither_before_nor_after(
    tell: Tell, clock: FakeClock
) -> None:
    outcome = tell(max_stories=3, interval_s=5.0)
    assert (outcome.written, outcome.ended) == (3, "done")
    assert clock.waits == [5.0, 5.0]


def test_no_story_begins_after_the_duration(tell: Tell, clock: FakeClock) -> None:
    def slow(seed: int) -> Story:
        clock.now_s += 4.0
        return compose(seed)

    outcome = tell(slow, max_stories=10, duration_s=10.0)
    assert (outcome.written, outcome.ended) == (3, "duration")


def test_it_does_not_wait_for_a_story_that_would_come_too_late(
    tell: Tell, clock: FakeClock
) -> None:
    outcome = tell(max_stories=10, duration_s=10.0, interval_s=60.0)
    assert (outcome.written, outcome.ended) == (1, "duration")
    assert clock.waits == []


def test_a_duplicate_is_drawn_again_when_there_is_no_seed(tell: Tell) -> None:
    tell(lambda _: compose(1))
    tales = iter([compose(1), compose(1), compose(2)])
    outcome = tell(lambda _: next(tales), dedup=True)
    assert (outcome.written, outcome.duplicates) == (1, 0)


def test_it_gives_up_drawing_after_so_many(tell: Tell) -> None:
    seeds: list[int] = []

    def author(seed: int) -> Story:
        seeds.append(seed)
        return compose(1)

    tell(author)
    outcome = tell(author, dedup=True)
    assert (outcome.written, outcome.duplicates) == (0, 1)
    assert len(set(seeds)) == 1 + DRAWS_LIMIT


def test_a_seed_is_never_drawn_again(tell: Tell) -> None:
    seeds: list[int] = []

    def author(seed: int) -> Story:
        seeds.append(seed)
        return compose(1)

    tell(author, seed=40, max_stories=3, dedup=True)
    assert seeds == [40, 41, 42]


def test_a_signal_while_writing_lets_the_story_be_finished(tell: Tell, stop: Stop) -> None:
    def signalled(seed: int) -> Story:
        stop.signum = 15  # as if it came after the last moment at which it could interrupt
        return compose(seed)

    outcome = tell(signalled, max_stories=2)
    assert (outcome.written, outcome.ended) == (1, "signal")


def test_a_near_duplicate_counts_as_one(tell: Tell) -> None:
    original = compose(1)
    first, *rest = original.paragraphs
    changed = Story(title=original.title, paragraphs=(f"{first} Truly.", *rest), seed=2)
    tell(lambda _: original)
    assert tell(lambda _: changed, seed=2, dedup=True).duplicates == 1
