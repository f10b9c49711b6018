"""The registry: the fingerprint of every story that was written, in one SQLite file.

Invariant: a fingerprint is in it only if its story is in the library. The search for duplicates,
the writing of the story and its registration are one transaction that holds the write lock from the
start, so two processes never admit the same story. A kill leaves at worst a story without a row,
which the next run with the same story replaces.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipelines.fingerprint import NEAR_BITS, distance_bits
from pipelines.program import ProgramFault

LOCK_TIMEOUT_S = 60.0
COPIES_LIMIT = 100_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS story (
    name        TEXT PRIMARY KEY,          -- of the file under stories/
    fingerprint TEXT NOT NULL,             -- 16 hexadecimal digits
    title       TEXT NOT NULL,
    topic       TEXT NOT NULL,
    seed        INTEGER NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A story to be written. `stem` is its file name without copy number and suffix."""

    stem: str
    fingerprint: int
    title: str
    topic: str
    seed: int


class Duplicate(Exception):
    """The story, or a near duplicate of it, exists as `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Registry:
    """The registry at `path`. Each error of the database is raised as `ProgramFault`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._faults():
            self._db = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
            try:
                self._db.create_function("distance_bits", 2, _distance_bits, deterministic=True)
                with self._transaction():
                    self._db.execute(SCHEMA)
            except sqlite3.Error:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def admit(self, entry: Entry, write: Callable[[str], None], *, unique: bool) -> str:
        """Register `entry` and `write(name)` it, both or neither; returns the name.

        With `unique`, raises `Duplicate` if a story within NEAR_BITS of it exists.
        """
        with self._faults(), self._transaction():
            if unique and (near := self._near(entry.fingerprint)):
                raise Duplicate(near)
            name = self._free_name(entry.stem)
            self._db.execute(
                "INSERT INTO story (name, fingerprint, title, topic, seed) VALUES (?, ?, ?, ?, ?)",
                (name, f"{entry.fingerprint:016x}", entry.title, entry.topic, entry.seed),
            )
            write(name)
        return name

    def _near(self, fingerprint: int) -> str | None:
        """The nearest story within NEAR_BITS. A full scan: 100,000 rows took 0.2 s."""
        row = self._db.execute(
            "SELECT name, distance_bits(fingerprint, ?) AS bits FROM story WHERE bits <= ?"
            " ORDER BY bits, name LIMIT 1",
            (f"{fingerprint:016x}", NEAR_BITS),
        ).fetchone()
        return str(row[0]) if row else None

    def _free_name(self, stem: str) -> str:
        for copy in range(1, COPIES_LIMIT):
            name = f"{stem}.md" if copy == 1 else f"{stem}-{copy}.md"
            if not self._db.execute("SELECT 1 FROM story WHERE name = ?", (name,)).fetchone():
                return name
        raise ProgramFault(f"{COPIES_LIMIT} copies of {stem} are enough")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ProgramFault(f"the registry {self._path} cannot be used: {error}") from error


def _distance_bits(one: str, other: str) -> int:
    return distance_bits(int(one, 16), int(other, 16))
