"""Words: how text is divided into them, which of them are stop words, and when two are equal."""

import re
from collections.abc import Iterable
from pathlib import Path

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
STOPWORDS = frozenset(
    Path(__file__)
    .with_name("grammar")
    .joinpath("stopwords.txt")
    .read_text(encoding="utf-8")
    .split()
)


def words(text: str) -> list[str]:
    """The words of `text`, case-folded, in order."""
    return [match.group() for match in WORD.finditer(text.casefold())]


def stem(word: str) -> str:
    """`word` without a plural s. Simple on purpose: it only matches topics with topics."""
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word


def stems(text: str) -> frozenset[str]:
    """The subjects of `text`: its words as stems, without stop words."""
    return frozenset(stem(word) for word in words(text) if word not in STOPWORDS)


def mentions(wanted: frozenset[str], subjects: Iterable[str]) -> bool:
    """Whether any of the stems `wanted` is one of `subjects`.

    Beyond ASCII a common beginning is enough, because Korean joins its particles to the noun.
    """
    return any(
        word == subject or (not subject.isascii() and word.startswith(subject))
        for word in wanted
        for subject in subjects
    )
