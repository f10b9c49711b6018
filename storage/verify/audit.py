"""Audit: walk along the events, and compare each with the rows of its Job and run.

Invariant: nothing is kept in memory of what has ended, so that a database of a million Jobs can be
walked; the end of a Job is read back in the rare case that an event names it again.
"""

from collections.abc import Iterator
from typing import Any

import apsw
from pydantic_core import from_json

from headway.model.job import JobStatus
from storage.events import Event
from storage.verify.replay import Breach, Replay

WALK = (
    f"SELECT {', '.join(f'e.{name}' for name in Event._fields)},"
    " j.position, j.status, r.status, r.server_id FROM events AS e"
    " LEFT JOIN jobs AS j ON j.job_id = e.job_id"
    " LEFT JOIN job_runs AS r ON r.run_id = e.run_id ORDER BY e.seq"
)
ENDS = {"job.cancelled": "CANCELLED", "job.skipped": "SKIPPED"}
"""What a Job is after an event that ends it without a run."""


class EndedJobs:
    """How Jobs ended, by the events before `seq`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.seq = 0
        self._connection = connection

    def get(self, job_id: str, /) -> JobStatus | None:
        """Read from the table: only an event out of place needs it."""
        row = self._connection.execute(
            "SELECT kind, data FROM events WHERE job_id = ? AND seq < ?"
            " AND kind IN ('job.cancelled', 'job.skipped', 'run.finished')"
            " ORDER BY seq DESC LIMIT 1",
            (job_id, self.seq),
        ).fetchone()
        return None if row is None else JobStatus(ENDS.get(row[0]) or from_json(row[1])["status"])

    def __setitem__(self, job_id: str, status: JobStatus, /) -> None:
        """Do nothing: the events have it."""


class FinishedRuns:
    """Which runs have ended, by the events before `seq`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.seq = 0
        self._connection = connection

    def __contains__(self, run_id: object, /) -> bool:
        """Read from the table, without an index: only an event out of place needs it."""
        found = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM events"
            " WHERE kind = 'run.finished' AND run_id = ? AND seq < ?)",
            (run_id, self.seq),
        ).get
        return bool(found)

    def add(self, run_id: str, /) -> None:
        """Do nothing: the events have it."""


def walk(connection: apsw.Connection) -> Iterator[Breach]:
    """The events are a legal sequence (see `Replay`) that leads to the rows of the tables.

    - AckDurable: every Job and run that an event names is there.
    - EventsAtomic: a change and its event are there together: each row is what its events lead to.
    - SingleWriter: a run was claimed by the life of the server that was the last to begin.
    - StablePaging: each Job is at the position of its submission.
    """
    jobs, runs = EndedJobs(connection), FinishedRuns(connection)
    replay = Replay(jobs, runs)
    for *columns, position, job_status, run_status, server_id in connection.execute(WALK):
        event = Event(*columns)
        jobs.seq = runs.seq = event.seq
        try:
            yield from replay.apply(event)
            yield from compare(replay, event, position, job_status, run_status, server_id)
        except (ValueError, KeyError, TypeError) as error:
            yield "EventsAtomic", f"event {event.seq} ({event.kind}) cannot be read: {error!r}"
    yield from open_jobs(connection, replay)
    yield from open_runs(connection, replay)


def compare(
    replay: Replay, event: Event, position: Any, job_status: Any, run_status: Any, server_id: Any
) -> Iterator[Breach]:
    """One event, and the rows of its Job and its run (None: there is no such row)."""
    if event.job_id is not None and position is None:
        yield "AckDurable", f"event {event.seq} names {event.job_id}, which is not there"
        return
    match event.kind:
        case "job.submitted":
            queued_at = replay.jobs[str(event.job_id)].place[1]
            if queued_at != position:
                what = f"{event.job_id} is at {position}, it was queued at {queued_at}"
                yield "StablePaging", what
        case "run.started":
            if run_status is None:
                yield "AckDurable", f"{event.run_id} was started, and is not there"
            elif replay.life and server_id != replay.life:
                what = f"{event.run_id} was claimed by {server_id} after {replay.life} had begun"
                yield "SingleWriter", what
        case "run.finished":
            status = from_json(event.data)["status"]
            if run_status is not None and status != run_status:
                yield "EventsAtomic", f"{event.run_id} is {run_status}, it ended as {status}"
            if event.job_id is not None and status != job_status:
                yield "EventsAtomic", f"{event.job_id} is {job_status}, its run ended as {status}"
        case "job.cancelled" | "job.skipped":
            if job_status != ENDS[event.kind]:
                yield "EventsAtomic", f"{event.job_id} is {job_status} after {event.kind}"


def open_jobs(connection: apsw.Connection, replay: Replay) -> Iterator[Breach]:
    """The Jobs that have not ended are those of the events, at their places in the queue."""
    agreeing = 0
    for job_id, status, hold, priority in connection.execute(
        "SELECT job_id, status, hold, priority FROM jobs WHERE status IN ('QUEUED', 'RUNNING')"
    ):
        job = replay.jobs.get(str(job_id))
        if job is None or job.status != status:
            yield "EventsAtomic", f"{job_id} is {status}, but not by its events"
        elif status == JobStatus.QUEUED and (-job.place[0], job.hold) != (priority, hold):
            yield "EventsAtomic", f"{job_id} has another place in the queue than by its events"
        else:
            agreeing += 1
    if agreeing < len(replay.jobs):
        for job_id, job in replay.jobs.items():
            is_now = connection.execute("SELECT status FROM jobs WHERE job_id = ?", (job_id,)).get
            if is_now != job.status:
                yield (
                    "EventsAtomic",
                    f"{job_id} is {job.status} by its events, and {is_now} by its row",
                )


def open_runs(connection: apsw.Connection, replay: Replay) -> Iterator[Breach]:
    """The open runs and reservations of the tables are those of the events."""
    for what, replayed, rows in (
        ("runs", replay.running, "SELECT run_id FROM job_runs WHERE status = 'RUNNING'"),
        ("waits", replay.waiting, RESERVATIONS + "'WAITING'"),
        ("is held", replay.held, RESERVATIONS + "'HELD'"),
    ):
        for name in set(replayed) ^ {str(row[0]) for row in connection.execute(rows)}:
            yield "EventsAtomic", f"{name} {what} by its events or by its row, not by both"


RESERVATIONS = "SELECT reservation_id FROM reservations WHERE state = "
