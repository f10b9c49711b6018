"""The position of a Job: how many go before it, what runs, and how long such runs have taken.

Each is read from an index in a time that does not grow with the queue.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import apsw

from storage.job_row import STARTABLE
from storage.runs import DURATION_US

COUNTED_MAX = 10_000
"""Index entries that are counted on either side of a Job, of each type."""
SAMPLES_MAX = 200
"""How many of a type's last runs an estimate rests on."""

_SIDE = (
    "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_eligible"
    f" WHERE {STARTABLE} AND type = ?1 AND {{}} LIMIT ?4)"
)
_AHEAD = (_SIDE.format("priority > ?2"), _SIDE.format("priority = ?2 AND position < ?3"))
_BEHIND = (_SIDE.format("priority < ?2"), _SIDE.format("priority = ?2 AND position > ?3"))


class Ahead(NamedTuple):
    """Jobs of one type that go before a Job; not `exact`: at least so many."""

    jobs: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """A run that fills a slot; `name` is its Job, or the run itself where there is none.

    `began_us`: µs after boot at which its program began, once that has been seen.
    """

    name: str
    type: str
    started_at: int
    timeout_s: float
    began_us: int | None

    def elapsed_s(self, now: int, boot_us: int) -> float:
        """How long it has lasted; by the wall clock only while its program was not yet seen."""
        us = now - self.started_at if self.began_us is None else boot_us - self.began_us
        return max(0.0, us / 1e6)


def ahead_of(
    connection: apsw.Connection,
    types: Iterable[str],
    *,
    own_type: str,
    priority: int,
    position: int,
) -> dict[str, Ahead]:
    """By type, the eligible Jobs that go before the place (priority, position).

    Exact also near the end of a long queue: there those behind are counted, and taken from all.
    """
    found: dict[str, Ahead] = {}
    for type_ in types:
        count = _count(connection, _AHEAD, type_, priority, position)
        found[type_] = Ahead(count, exact=count <= COUNTED_MAX)
        if found[type_].exact:
            continue
        behind = _count(connection, _BEHIND, type_, priority, position)
        if behind <= COUNTED_MAX:
            own = type_ == own_type
            found[type_] = Ahead(_eligible(connection, type_) - behind - own, exact=True)
        else:
            found[type_] = Ahead(COUNTED_MAX, exact=False)
    return found


def _count(
    connection: apsw.Connection, sides: tuple[str, str], type_: str, priority: int, position: int
) -> int:
    total = 0
    for sql in sides:
        if total <= COUNTED_MAX:
            n = connection.execute(sql, (type_, priority, position, COUNTED_MAX + 1)).get
            assert isinstance(n, int)
            total += n
    return total


def _eligible(connection: apsw.Connection, type_: str) -> int:
    n = connection.execute(f"SELECT n FROM job_counts WHERE type = ? AND {STARTABLE}", (type_,)).get
    assert isinstance(n, int)
    return n


def types_ahead(
    connection: apsw.Connection, types: Iterable[str], *, priority: int, position: int
) -> list[str]:
    """The types of the eligible Jobs that go before (priority, position), in order."""
    places: list[tuple[int, int, str]] = []
    for type_ in types:
        for where, given in (
            ("priority > ?2", (priority,)),
            ("priority = ?2 AND position < ?3", (priority, position)),
        ):
            places += connection.execute(
                "SELECT -priority, position, type FROM jobs INDEXED BY jobs_eligible"
                f" WHERE {STARTABLE} AND type = ?1 AND {where}",
                (type_, *given),
            )
    return [type_ for _, _, type_ in sorted(places)]


def occupants(connection: apsw.Connection) -> list[Occupant]:
    """The runs that fill slots, oldest first. Legacy runs go beside the slots and fill none."""
    return [
        Occupant(
            name=job_id or run_id,
            type=type_,
            started_at=started_at,
            timeout_s=timeout_s,
            began_us=began_us,
        )
        for run_id, job_id, type_, started_at, timeout_s, began_us in connection.execute(
            "SELECT run_id, job_id, type, started_at, timeout_s, began_us"
            " FROM job_runs INDEXED BY job_runs_running"
            " WHERE status = 'RUNNING' AND lane IN ('queue', 'direct') ORDER BY started_at, run_id"
        )
    ]


def last_durations_s(connection: apsw.Connection, type_: str) -> list[float]:
    """How long the last runs of the type took, of every status, the shortest first."""
    rows = connection.execute(
        f"SELECT {DURATION_US} / 1e6 FROM job_runs"
        " WHERE type = ? AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT ?",
        (type_, SAMPLES_MAX),
    )
    return sorted(seconds for (seconds,) in rows)
