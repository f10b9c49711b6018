"""Recognise the id of a Job, or the beginning of one, in a search text."""

import re

import apsw

_BEGINNING = re.compile(r"job-[0-9a-f][0-9a-f-]{5,35}")
"""Six characters or more: fewer are as likely a part of a name."""
_WHOLE_CHARS = len("job-") + 36
BEGINS = "job_id >= ? AND job_id < ?"
"""By the index over ids, with `span` bound to it."""


def id_beginning(text: str | None) -> str | None:
    """What an id may begin with, if the text looks like one."""
    beginning = (text or "").strip().casefold()
    return beginning if _BEGINNING.fullmatch(beginning) else None


def is_id(connection: apsw.Connection, beginning: str) -> bool:
    """Whether to look for ids alone: a whole one, or the beginning of one that exists."""
    if len(beginning) == _WHOLE_CHARS:
        return True
    return bool(
        connection.execute(
            f"SELECT EXISTS (SELECT 1 FROM jobs WHERE {BEGINS})", span(beginning)
        ).get
    )


def span(beginning: str) -> tuple[str, str]:
    """The first id that begins so, and what comes behind the last one: `~` follows every digit."""
    return beginning, f"{beginning}~"
