"""The registry: a fingerprint is in it if and only if its story was written."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.program import ProgramFault
from pipelines.registry import Duplicate, Entry, Registry


def entry(fingerprint: int, stem: str = "the-bell") -> Entry:
    return Entry(stem=stem, fingerprint=fingerprint, title="The Bell", topic="bells", seed=1)


def rows(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [name for (name,) in db.execute("SELECT name FROM story ORDER BY name")]
    finally:
        db.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.sqlite3"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    with Registry(path) as registry:
        yield registry


def test_a_story_is_written_under_the_name_that_is_registered(
    registry: Registry, path: Path
) -> None:
    written: list[str] = []
    assert registry.admit(entry(1), written.append, unique=True) == "the-bell.md"
    assert written == rows(path) == ["the-bell.md"]


@pytest.mark.parametrize("near", [0xFF, 0xFE, 0xF8])
def test_what_is_near_is_a_duplicate(registry: Registry, path: Path, near: int) -> None:
    registry.admit(entry(0xFF), print, unique=True)
    with pytest.raises(Duplicate, match=r"the-bell\.md"):
        registry.admit(entry(near, "other"), pytest.fail, unique=True)
    assert rows(path) == ["the-bell.md"]


def test_what_is_four_bits_away_is_another_story(registry: Registry, path: Path) -> None:
    registry.admit(entry(0xFF), print, unique=True)
    registry.admit(entry(0xF0, "other"), print, unique=True)
    assert rows(path) == ["other.md", "the-bell.md"]


def test_the_highest_fingerprint_fits(registry: Registry) -> None:
    registry.admit(entry(2**64 - 1), print, unique=True)
    with pytest.raises(Duplicate):
        registry.admit(entry(2**64 - 1), pytest.fail, unique=True)


def test_copies_are_numbered(registry: Registry, path: Path) -> None:
    for _ in range(3):
        registry.admit(entry(1), print, unique=False)
    assert rows(path) == ["the-bell-2.md", "the-bell-3.md", "the-bell.md"]


def test_a_story_that_cannot_be_written_is_not_registered(registry: Registry, path: Path) -> None:
    def full(name: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        registry.admit(entry(1), full, unique=True)
    assert rows(path) == []
    assert registry.admit(entry(1), print, unique=True) == "the-bell.md"


def test_nobody_else_can_write_between_the_look_and_the_writing(
    registry: Registry, path: Path
) -> None:
    def other_process(name: str) -> None:
        db = sqlite3.connect(path, timeout=0)
        try:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                db.execute("BEGIN IMMEDIATE")
        finally:
            db.close()

    registry.admit(entry(1), other_process, unique=True)


def test_a_file_that_is_no_database_is_a_fault_that_names_it(path: Path) -> None:
    path.write_text("this is not a database, and long enough for SQLite to look at" * 20)
    with pytest.raises(ProgramFault, match=r"registry\.sqlite3 cannot be used"):
        Registry(path)
