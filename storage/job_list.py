"""List Jobs: filters, pages by cursor, counts.

A page has a limit of bytes as well: long params are left out, and the item is marked so.
"""

import base64
from dataclasses import dataclass
from typing import Any, Literal

import apsw

from headway.model.job import JobStatus, ListedJob
from headway.model.problem import Refusal
from storage.job_id import BEGINS, id_beginning, is_id, span
from storage.job_row import LISTED_COLUMNS, PARAMS_AT, job_from_row

PAGE_MAX = 500
PAGE_BYTES_MAX = 1024 * 1024
"""Then the page ends, and its cursor leads on."""
PARAMS_BYTES_MAX = 4 * 1024
"""Longer params are left out of a list."""
STORED_PER_SHOWN = 64
"""To read past so many bytes of params takes as long as to show one: they count, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What `GET /jobs` may ask for; an empty tuple means no restriction. Labels as 'key=value'."""

    statuses: tuple[JobStatus, ...] = ()
    types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    text: str | None = None
    retry_of: str | None = None
    order: Literal["asc", "desc"] = "desc"


def list_jobs(
    connection: apsw.Connection, wanted: JobFilter, *, limit: int, cursor: str | None
) -> tuple[list[ListedJob], str | None]:
    """A page in order of arrival and the cursor of the next one (None at the end).

    It is shorter than `limit` where Jobs are long; there is at least one.

    The order is that of `position`, which never changes, so a walk meets every Job that existed
    throughout exactly once.

    Raises:
        Refusal: `invalid`, when the cursor is not one of ours.
    """
    where, bindings = _conditions(connection, wanted)
    if cursor is not None:
        where.append("position < ?" if wanted.order == "desc" else "position > ?")
        bindings.append(_decode_cursor(cursor))
    # A Job has few retries, and there are many Jobs of each status: filter those few.
    index = "" if wanted.retry_of is None else " INDEXED BY jobs_retry_of"
    rows = connection.execute(
        f"SELECT octet_length(params), {LISTED_COLUMNS} FROM jobs{index}"
        f" WHERE {' AND '.join(where) or 'TRUE'} ORDER BY position {wanted.order} LIMIT ?",
        (PARAMS_BYTES_MAX, *bindings, limit + 1),
    )
    page, room = list[ListedJob](), PAGE_BYTES_MAX
    for stored, *row in rows:
        if len(page) == limit or room <= 0:
            return page, _encode_cursor(page[-1].position)
        page.append(_listed(row))
        room -= sum(len(value) for value in row if isinstance(value, str))
        room -= stored // STORED_PER_SHOWN
    return page, None


def _listed(row: list[Any]) -> ListedJob:
    before, params, after = row[:PARAMS_AT], row[PARAMS_AT], row[PARAMS_AT + 1 :]
    job = job_from_row((*before, "{}" if params is None else params, *after))
    return ListedJob.model_construct(**job.__dict__, params_elided=params is None)


def count_by_status(connection: apsw.Connection) -> dict[str, int]:
    """How many Jobs are in each status: read from the kept counts."""
    counts = dict.fromkeys(JobStatus, 0)
    for status, n in connection.execute("SELECT status, sum(n) FROM job_counts GROUP BY status"):
        counts[JobStatus(status)] = n
    return {status.value: n for status, n in counts.items()}


def _conditions(connection: apsw.Connection, wanted: JobFilter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    bindings: list[Any] = []
    for column, values in (("status", wanted.statuses), ("type", wanted.types)):
        if values:
            where.append(f"{column} IN ({', '.join('?' * len(values))})")
            bindings.extend(values)
    for label in wanted.labels:
        where.append("position IN (SELECT position FROM job_labels WHERE label = ?)")
        bindings.append(label)
    if wanted.retry_of is not None:
        where.append("retry_of = ?")
        bindings.append(wanted.retry_of)
    if (beginning := id_beginning(wanted.text)) and is_id(connection, beginning):
        # A subquery, or SQLite would walk all Jobs in the wanted order and compare their ids.
        where.append(f"position IN (SELECT position FROM jobs WHERE {BEGINS})")
        bindings.extend(span(beginning))
    elif wanted.text:
        where.append("(instr(casefold(name), ?) OR instr(job_id, ?) OR instr(type, ?))")
        bindings.extend([wanted.text.casefold()] * 3)
    return where, bindings


def _encode_cursor(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> int:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position = int(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, UnicodeError):
        position = -1
    if not 0 <= position < 2**63:
        raise Refusal("invalid", "cursor is not one that this server gave: start without one")
    return position
