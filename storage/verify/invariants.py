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
| StablePaging, of a walk while Jobs come and go | tests/storage/test_jobs.py, tests/contract |
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import apsw

from headway.model.field import LABELS_MAX, NAME_LENGTH_MAX, TIME_MAX_US
from storage.job_row import HOLDS
from storage.rollup import recount
from storage.scheduler import cumulative_stats, recounted_stats
from storage.verify.audit import walk
from storage.verify.replay import NAMES

BREACHES_SHOWN_MAX = 20
BREACHES_WALKED_MAX = 200
"""After so many the walk along the events ends: nothing more is to be learned from it."""

Check = Callable[[apsw.Connection], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant, and where it is broken (at most 20 places)."""

    name: str
    breaches: tuple[str, ...]


def verify(connection: apsw.Connection) -> list[Finding]:
    """Run every check on one snapshot of the database."""
    connection.execute("BEGIN")
    try:
        found = check_tables(connection)
        try:
            for name, breach in islice(walk(connection), BREACHES_WALKED_MAX):
                found[name].append(breach)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            found["Sound"].append(f"the events cannot be read: {error}")
    finally:
        connection.execute("ROLLBACK")
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


def one_run(connection: apsw.Connection) -> Iterator[str]:
    """A Job has at most one JobRun, and has one exactly if it has started."""
    for job_id, n in connection.execute(
        "SELECT job_id, count(*) FROM job_runs WHERE job_id IS NOT NULL"
        " GROUP BY job_id HAVING count(*) > 1"
    ):
        yield f"{job_id} has {n} runs"
    for job_id, status in connection.execute(
        "SELECT j.job_id, j.status FROM jobs AS j LEFT JOIN job_runs AS r ON r.job_id = j.job_id"
        " WHERE (j.started_at IS NULL) <> (r.run_id IS NULL)"
    ):
        yield f"{job_id} is {status}, and its start and its run do not agree"


def same_status(connection: apsw.Connection) -> Iterator[str]:
    """A Job that has a run has the run's status."""
    for job_id, job_status, run_status in connection.execute(
        "SELECT j.job_id, j.status, r.status FROM jobs AS j JOIN job_runs AS r"
        " ON r.job_id = j.job_id WHERE j.status <> r.status"
    ):
        yield f"{job_id} is {job_status}, but its run is {run_status}"


def times_in_order(connection: apsw.Connection) -> Iterator[str]:
    """A Job has `finished_at` exactly if its status is terminal; nothing ends before it began.

    A Job that has run ended when its run did, and took as long.
    """
    for name, status, finished_at in connection.execute(
        "SELECT job_id, status, finished_at FROM jobs"
        " WHERE (status IN ('QUEUED', 'RUNNING')) = (finished_at IS NOT NULL) UNION ALL"
        " SELECT run_id, status, finished_at FROM job_runs"
        " WHERE (status = 'RUNNING') = (finished_at IS NOT NULL)"
    ):
        yield f"{name} is {status}, finished_at is {finished_at}"
    for name, began, ended in connection.execute(
        "SELECT job_id, started_at, finished_at FROM jobs WHERE finished_at < started_at"
        " UNION ALL"
        " SELECT run_id, started_at, finished_at FROM job_runs WHERE finished_at < started_at"
    ):
        yield f"{name} began at {began} and ended at {ended}"
    for job_id, ended, run_ended in connection.execute(
        "SELECT j.job_id, j.finished_at, r.finished_at FROM jobs AS j JOIN job_runs AS r"
        " ON r.job_id = j.job_id"
        " WHERE j.finished_at <> r.finished_at OR j.duration_us <> r.duration_us"
    ):
        yield f"{job_id} ended at {ended}, its run at {run_ended}, or their durations differ"


def events_kept(connection: apsw.Connection) -> Iterator[str]:
    """No event was ever taken away: they are as many as the last one's number."""
    last, n = connection.execute("SELECT coalesce(max(seq), 0), count(*) FROM events").fetchone()  # type: ignore[misc]
    if n != last:
        yield f"there are {n} events, and the last one is number {last}"


def unknown_not_success(connection: apsw.Connection) -> Iterator[str]:
    """A run is COMPLETED only by exit status 0, SKIPPED only by one that was seen, and without an
    error; FAILED it is only with one."""
    for run_id, status, exit_code, error in connection.execute(
        "SELECT run_id, status, exit_code, error_code FROM job_runs"
        " WHERE status = 'COMPLETED' AND (exit_code IS NOT 0 OR error_code IS NOT NULL)"
        " OR status = 'SKIPPED' AND (exit_code IS NULL OR error_code IS NOT NULL)"
        " OR status = 'FAILED' AND error_code IS NULL"
    ):
        yield f"{run_id} is {status} with exit status {exit_code} and error {error}"


def idem_replay(connection: apsw.Connection) -> Iterator[str]:
    """An answer that is kept for a replay names Jobs or reservations that are there."""
    for key, location in connection.execute(
        "SELECT key, location FROM idempotency WHERE location IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM jobs WHERE job_id = substr(location, length('/jobs/') + 1))"
        " AND NOT EXISTS (SELECT 1 FROM reservations"
        " WHERE reservation_id = substr(location, length('/scheduler/reservations/') + 1))"
    ):
        yield f"the answer to key {key} leads to {location}, which is not there"
    for key, job_id in connection.execute(
        "SELECT idempotency.key, entry.value ->> 'job_id' AS named FROM idempotency,"
        " json_each(CAST(response AS TEXT), '$.jobs') AS entry WHERE location IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM jobs WHERE job_id = named)"
    ):
        yield f"the answer to key {key} names {job_id}, which is not there"


def stats_recount(connection: apsw.Connection) -> Iterator[str]:
    """The kept figures equal a count of every row."""
    kept, counted = cumulative_stats(connection), recounted_stats(connection)
    if kept != counted:
        yield f"kept {kept!r}, counted {counted!r}"
    for row in connection.execute(
        "SELECT type, status, hold, n FROM job_counts WHERE n <> 0 EXCEPT"
        " SELECT type, status, hold, count(*) FROM jobs GROUP BY type, status, hold"
    ):
        yield f"kept count {row} differs from the rows"
    for row in connection.execute(
        "SELECT type, status, hold, count(*) FROM jobs GROUP BY type, status, hold EXCEPT"
        " SELECT type, status, hold, n FROM job_counts"
    ):
        yield f"counted {row}, which is not kept"


def history_recount(connection: apsw.Connection) -> Iterator[str]:
    """The sums by the minute, which the charts show, equal a count of the events."""
    for minute, *sums in recount(connection):
        yield f"the sums of minute {minute} differ from the events: {sums}"


def no_phantom(connection: apsw.Connection) -> Iterator[str]:
    """Every Job was submitted, and every run was started, by an event."""
    for (job_id,) in connection.execute(
        "SELECT job_id FROM jobs WHERE NOT EXISTS (SELECT 1 FROM events"
        " WHERE events.job_id = jobs.job_id AND kind = 'job.submitted')"
    ):
        yield f"{job_id} is there, and was never submitted"
    for (run_id,) in connection.execute(
        "SELECT run_id FROM job_runs AS r WHERE job_id IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM events AS e WHERE e.job_id = r.job_id AND e.run_id = r.run_id"
        " AND kind = 'run.started')"
        " UNION ALL SELECT * FROM (SELECT run_id FROM job_runs WHERE job_id IS NULL EXCEPT"
        " SELECT run_id FROM events WHERE kind = 'run.started' AND job_id IS NULL)"
    ):
        yield f"{run_id} is there, and was never started"


def cancelled_as_asked(connection: apsw.Connection) -> Iterator[str]:
    """A run is CANCELLED only if it was ended because of a cancel; asked to be, it may also have
    come to its own end before, and shows how."""
    for run_id, status, reason in connection.execute(
        "SELECT run_id, status, stop_reason FROM job_runs WHERE status <> 'RUNNING'"
        " AND (status = 'CANCELLED' AND stop_reason IS NOT 'cancel' OR status <> 'CANCELLED'"
        " AND stop_reason IS 'cancel' AND exit_code IS NULL AND signal IS NULL)"
    ):
        yield f"{run_id} is {status}, and the reason to end it is {reason or 'none'}"


def collected_after_the_end(connection: apsw.Connection) -> Iterator[str]:
    """Artifacts are collected of a run that has ended; a complete collection has all checksums."""
    for run_id, status in connection.execute(
        "SELECT run_id, status FROM job_runs INDEXED BY job_runs_collecting"
        " WHERE collecting <> 0 AND status = 'RUNNING'"
    ):
        yield f"{run_id} is {status}, and its artifacts are being collected"
    for run_id, name in connection.execute(
        "SELECT run_id, entry.value ->> 'name' FROM job_runs, json_each(artifacts) AS entry"
        " WHERE artifacts <> '[]' AND collecting = 0 AND collection_reason IS NULL"
        " AND (entry.value ->> 'sha256' IS NULL OR entry.value ->> 'kept' IS 0)"
    ):
        yield f"{run_id} has collected all, but not {name}"


def held_while_queued(connection: apsw.Connection) -> Iterator[str]:
    """Only a QUEUED Job is held, by a known reason; a time that holds it is there."""
    known = ", ".join(f"'{hold}'" for hold in HOLDS)
    for job_id, status, hold in connection.execute(
        f"SELECT job_id, status, hold FROM jobs WHERE hold NOT IN ({known})"
        " OR hold <> 'none' AND status <> 'QUEUED' OR hold = 'time' AND run_at IS NULL"
    ):
        yield f"{job_id} is {status}, and held by {hold}"


def reservations_end(connection: apsw.Connection) -> Iterator[str]:
    """A reservation has an end and a reason exactly if it has ended, and a start if it is held."""
    for name, state in connection.execute(
        "SELECT reservation_id, state FROM reservations"
        " WHERE (state = 'ENDED') <> (ended_at IS NOT NULL) OR (ended_at IS NULL) <>"
        " (end_reason IS NULL) OR (state = 'HELD' AND (held_at IS NULL OR expires_at IS NULL))"
    ):
        yield f"{name} is {state}, and its times do not agree"


def bounded(connection: apsw.Connection) -> Iterator[str]:
    """No Job is larger than the API lets in: its name, labels, times."""
    for (job_id,) in connection.execute(
        "SELECT job_id FROM jobs WHERE length(name) > ?1 OR run_at NOT BETWEEN 0 AND ?3"
        " OR expires_at NOT BETWEEN 0 AND ?3 OR timeout_s <= 0 OR (labels <> '{}'"
        " AND iif(json_valid(labels), (SELECT count(*) FROM json_each(labels)) > ?2, TRUE))",
        (NAME_LENGTH_MAX, LABELS_MAX, TIME_MAX_US),
    ):
        yield f"{job_id} holds more than a request may ask for"


CHECKS: dict[str, tuple[Check, ...]] = {
    "Sound": (sound,),
    "OneRun": (one_run,),
    "SameStatus": (same_status,),
    "NoPhantom": (no_phantom,),
    "TerminalFinal": (times_in_order,),
    "HeldWhileQueued": (held_while_queued,),
    "CancelBeforeStart": (cancelled_as_asked,),
    "ReservationOrder": (reservations_end,),
    "Collected": (collected_after_the_end,),
    "EventsAtomic": (events_kept,),
    "StatsRecount": (stats_recount,),
    "HistoryRecount": (history_recount,),
    "UnknownNotSuccess": (unknown_not_success,),
    "IdemReplay": (idem_replay,),
    "Bounded": (bounded,),
}
