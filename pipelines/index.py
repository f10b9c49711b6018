"""A full-text index in memory: SQLite FTS5, ranked by BM25 (https://www.sqlite.org/fts5.html).

User text reaches FTS5 only as quoted strings, so nothing in a topic is query syntax.
"""

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Self

from pipelines.card import Passage
from pipelines.program import ProgramFault
from pipelines.source import Piece
from pipelines.word import STOPWORDS, stem, words

# unicode61 treats a run of Chinese or Japanese as one word, so each character is separated.
UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
TITLE_WEIGHT = 0.5  # a title counts for each of its passages, but less than their text
MODULE = "fts5"
TAGS_LIMIT = 8
TAG_CANDIDATES_LIMIT = 60
TAG_LEAST_CHARS = 4


class Index:
    """`pieces`, searchable. Raises `ProgramFault` if SQLite was built without FTS5."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._db = sqlite3.connect(":memory:")
        try:
            self._db.execute(
                f"CREATE VIRTUAL TABLE piece USING {MODULE}"
                "(title, body, content='', tokenize='porter unicode61 remove_diacritics 2')"
            )
        except sqlite3.OperationalError as error:
            self._db.close()
            raise ProgramFault(
                f"research needs SQLite with FTS5, and SQLite {sqlite3.sqlite_version}"
                f" of this Python says: {error}"
            ) from error
        self._db.executemany(
            "INSERT INTO piece (rowid, title, body) VALUES (?, ?, ?)",
            (
                (number, _spaced(piece.title), _spaced(piece.text))
                for number, piece in enumerate(pieces)
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def search(self, topic: str, limit: int) -> tuple[Passage, ...]:
        """The passages that match any word of `topic`, best first, the same text only once."""
        rows = self._db.execute(
            f"SELECT rowid, -bm25(piece, {TITLE_WEIGHT}, 1.0) AS score FROM piece"
            " WHERE piece MATCH ? ORDER BY score DESC, rowid",
            (query(topic),),
        )
        found: dict[str, tuple[float, str]] = {}
        for number, score in rows:
            piece = self._pieces[number]
            found.setdefault(piece.text, (score, piece.source))
            if len(found) == limit:
                break
        return tuple(
            Passage(rank=rank, score=float(f"{score:.6g}"), source=source, text=text)
            for rank, (text, (score, source)) in enumerate(found.items(), start=1)
        )

    def tags(self, topic: str, passages: Sequence[Passage]) -> tuple[str, ...]:
        """The words that distinguish `passages`, by TF-IDF, without those of the topic."""
        own = {stem(word) for word in words(topic)}
        counts = Counter(
            word
            for passage in passages
            for word in words(passage.text)
            if word not in STOPWORDS
            and stem(word) not in own
            and (len(word) >= TAG_LEAST_CHARS or not word.isascii())
        )
        weights = {
            word: count * self._idf(word)
            for word, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))[
                :TAG_CANDIDATES_LIMIT
            ]
        }
        tags: dict[str, str] = {}
        for word in sorted(weights, key=lambda word: (-weights[word], word)):
            tags.setdefault(stem(word), word)
        return tuple(tags.values())[:TAGS_LIMIT]

    def _idf(self, word: str) -> float:
        (count,) = self._db.execute(
            "SELECT count(*) FROM piece WHERE piece MATCH ?", (query(word),)
        ).fetchone()
        return math.log((len(self._pieces) + 1) / (count + 0.5))


def query(topic: str) -> str:
    """`topic` as an FTS5 query: its words as strings, any of which may match.

    A word beyond ASCII also matches as a prefix, because Korean joins its particles to the noun.
    """
    terms = [word for word in topic.split() if any(char.isalnum() for char in word)]
    telling = [word for word in terms if not set(words(word)) <= STOPWORDS]
    quoted = [
        '"' + _spaced(term).replace('"', '""') + '"' + ("" if term.isascii() else "*")
        for term in telling or terms
    ]
    return " OR ".join(quoted) or '""'


def _spaced(text: str) -> str:
    return UNSPACED.sub(r" \1 ", text)
