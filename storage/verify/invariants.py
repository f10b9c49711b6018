"""Invariants: checks of a database and its events, by name.

Each check yields a sentence for every breach that it finds; none means that the invariant holds.
The checks only read, so they run on the database of a living server as well as on a dead one's.

Some names are decided by several: a check of the tables here, the walk along the events
(`audit.walk`), and the rules of what may follow what (`Replay`). What no database can show is
decided by tests that look at processes, files and answers as well:

| invariant | decided by |
|---|---|
| AckDurable, NoPhantom, of the answers to clients | tests/simulation, tests/crash, tests/faults |
| CancelBound: a cancelled run ends within its grace | tests/actors, tests/contract/test_cancel.py |
| NoLostWakeup: nothing waits that could start | tests/simulation after each commit and at the end |
| IntentFirst, OneRun, of processes | tests/simulation at each start, tests/crash |
| NoOrphan: what lives belongs to a RUNNING run | tests/simulation after each commit, tests/crash |
| SafeSignal: only after boot id, pid and start time match | tests/actors/host/test_linux_host.py |
| OutputExact: the log is what the program wrote | tests/actors, tests/contract/test_log.py |
| RecoveryIdempotent, of every interrupted recovery | tests/simulation, tests/crash, tests/faults |
| SingleWriter: a second server is refused | tests/storage/test_database.py, tests/faults |
| Bounded, of memory, mailboxes and connections | tests/actors, tests/contract, bench |
| StablePaging, of a walk while Jobs come and go | tests/storage/test_job_pages.py, tests/contract |
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import apsw

from storage.database import snapshot
from storage.verify import idempotency, jobs, reservations, runs, scheduler
from storage.verify.audit import walk
from storage.verify.check import Check
from storage.verify.replay import NAMES

BREACHES_SHOWN_MAX = 20
BREACHES_WALKED_MAX = 200
"""After so many the walk along the events ends: nothing more is to be learned from it."""

NOUNS = (jobs, runs, reservations, idempotency, scheduler)


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant, and where it is broken (at most 20 places)."""

    name: str
    breaches: tuple[str, ...]


def verify(connection: apsw.Connection) -> list[Finding]:
    """Run every check on one snapshot of the database."""
    with snapshot(connection):
        found = check_tables(connection)
        try:
            for name, breach in islice(walk(connection), BREACHES_WALKED_MAX):
                found[name].append(breach)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            found["Sound"].append(f"the events cannot be read: {error}")
    return [Finding(name, tuple(these[:BREACHES_SHOWN_MAX])) for name, these in found.items()]


def check_tables(connection: apsw.Connection) -> dict[str, list[str]]:
    """What the tables show by themselves: the breaches of each invariant."""
    found: dict[str, list[str]] = {name: [] for name in (*CHECKS, *NAMES, "AckDurable")}
    for name, checks in CHECKS.items():
        for check in checks:
            try:
                found[name] += islice(check(connection), BREACHES_SHOWN_MAX)
            except (apsw.CorruptError, apsw.NotADBError) as error:
                found["Sound"].append(f"{name} cannot be checked: {error}")
            except apsw.SQLError as error:  # JSON that is none
                found[name].append(f"it cannot be checked: {error}")
    return found


def sound(connection: apsw.Connection) -> Iterator[str]:
    """Every page of the file is what SQLite expects, and every reference leads somewhere."""
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield str(line)
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"{table} row {row} refers to a row of {parent} that is not there"


def events_kept(connection: apsw.Connection) -> Iterator[str]:
    """No event was ever taken away: they are as many as the last one's number."""
    last, n = connection.execute("SELECT coalesce(max(seq), 0), count(*) FROM events").fetchone()  # type: ignore[misc]
    if n != last:
        yield f"there are {n} events, and the last one is number {last}"


def _all_checks() -> dict[str, tuple[Check, ...]]:
    found: dict[str, tuple[Check, ...]] = {"Sound": (sound,), "EventsAtomic": (events_kept,)}
    for name, checks in chain.from_iterable(noun.CHECKS.items() for noun in NOUNS):
        found[name] = (*found.get(name, ()), *checks)
    return found


CHECKS = _all_checks()
