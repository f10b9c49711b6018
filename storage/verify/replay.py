"""Replay the queue, the runs and the reservations from the events alone.

It shares no code with what decides, so that the two can disagree: `headway verify` and the
simulation find a wrong decision here by the events that it left.

Invariant: of a Job or run that has ended only `ended` and `finished` know, so that a replay of many
needs no more memory than they take.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from sys import intern
from typing import Any, Protocol

from pydantic_core import from_json

from headway.model.job import TERMINAL, TRANSITIONS, JobStatus
from storage.events import Event

QUEUED = JobStatus.QUEUED

Breach = tuple[str, str]
"""(invariant, sentence)."""

Place = tuple[int, int]
"""(-priority, position): the smaller goes first."""

NAMES = (
    "OneRun",
    "LegalPath",
    "TerminalFinal",
    "DispatchOrder",
    "Limit",
    "CancelBeforeStart",
    "ReservationOrder",
    "IntentFirst",
    "RecoveryIdempotent",
    "SingleWriter",
    "EventsAtomic",
    "StablePaging",
)
"""The invariants that a replay decides; the docstring of `Replay` defines each."""


class Ended(Protocol):
    """Statuses of the Jobs that have ended, by id."""

    def get(self, job_id: str, /) -> JobStatus | None: ...
    def __setitem__(self, job_id: str, status: JobStatus, /) -> None: ...


class Finished(Protocol):
    """Ids of the runs that have ended."""

    def __contains__(self, run_id: object, /) -> bool: ...
    def add(self, run_id: str, /) -> None: ...


@dataclass(slots=True)
class OpenJob:
    """A Job that has not ended, by its events. `hold`: why it may not start, 'none' if it may."""

    type: str
    place: Place
    hold: str
    status: JobStatus = QUEUED


class Replay:
    """Follows the events of one database from the first on.

    - OneRun: no Job, and no run, starts a second time.
    - LegalPath: each Job's events follow the table of transitions, from its submission on; what a
      run has left is collected only when it has ended.
    - TerminalFinal: no event changes a Job or a run that has ended.
    - DispatchOrder: no eligible Job of higher priority, or of the same and earlier position, is
      passed over when one starts from the queue, unless its type is at its limit; none starts
      before its `run_at`, nor while its type is not configured.
    - Limit: no start exceeds the slots, of which holds keep theirs, or the limit of its type.
    - CancelBeforeStart: a Job that was cancelled while QUEUED never starts.
    - ReservationOrder: reservations are served in their order, each ends once, a direct run starts
      only when its claim is served, and no Job starts from the queue while one waits, or while the
      scheduler is stopped.
    - IntentFirst: no event of a run comes before its start, which is committed before any process.
    - RecoveryIdempotent: a direct claim of an earlier life of the server is never served: it ended.
    - SingleWriter: lives of servers follow each other; none goes on when another has begun.
    - EventsAtomic: the events number from 1 without a gap, and each has an actor.
    - StablePaging: each Job's position is greater than those of all that were there before it.
    """

    def __init__(self, ended: Ended | None = None, finished: Finished | None = None) -> None:
        self.jobs: dict[str, OpenJob] = {}
        self.ended: Ended = {} if ended is None else ended
        self.finished: Finished = set() if finished is None else finished
        self.running: dict[str, tuple[str, str]] = {}  # run: (type, lane)
        self.waiting: dict[str, str] = {}  # reservation: the life that asked for it, if direct
        self.held: set[str] = set()
        self.concurrency: int | None = None  # not known before the first start of a server
        self.limits: dict[str, int | None] = {}
        self.moves = True
        self.life = ""
        self.last_seq = 0
        self._lives: set[str] = set()
        self._last_position = 0
        self._served: set[str] = set()  # direct runs whose claim was served
        self._queues: dict[str, list[tuple[Place, str]]] = {}
        self._found: list[Breach] = []
        self._kinds: dict[str, Callable[[Event], None]] = {
            "job.submitted": self._submitted,
            "job.updated": self._updated,
            "job.due": self._due,
            "job.progress": self._progressed,
            "job.cancelled": lambda event: self._move(event.job_id, JobStatus.CANCELLED),
            "job.skipped": lambda event: self._move(event.job_id, JobStatus.SKIPPED),
            "run.started": self._start,
            "run.process": self._must_run,
            "run.stopping": self._must_run,
            "run.finished": self._finish,
            "run.collected": self._collected,
            "reservation.requested": self._requested,
            "reservation.held": self._hold,
            "reservation.ended": self._end_reservation,
            "scheduler.started": lambda _: self._set_moving(True),
            "scheduler.stopped": lambda _: self._set_moving(False),
            "scheduler.configured": self._configure,
            "server.reloaded": self._configure,
            "server.started": self._begin_life,
        }

    def apply(self, event: Event) -> list[Breach]:
        """Apply the next event; returns the invariants that it breaks."""
        if event.seq != self.last_seq + 1:
            self._broken("EventsAtomic", f"event {event.seq} comes after {self.last_seq}")
        self.last_seq = event.seq
        if not event.actor:
            self._broken("EventsAtomic", f"event {event.seq} has no actor")
        if follow := self._kinds.get(event.kind):
            follow(event)
        if not self._found:
            return []
        found, self._found = self._found, []
        return found

    def overlooked(self) -> str | None:
        """A Job or reservation that waits while it could start; after a commit there is none."""
        if self.concurrency is None or self._taken() >= self.concurrency:
            return None
        for name, life in self.waiting.items():
            # The type of a direct claim is not in its events; it may be at its limit.
            return None if life else f"{name} waits although a slot is free"
        for other, limit in self.limits.items() if self.moves else ():
            first = self._first(other)
            if first is not None and (limit is None or self._busy(other) < limit):
                return f"the Job at position {first[1]} waits although a slot is free"
        return None

    def _broken(self, name: str, what: str) -> None:
        self._found.append((name, what))

    # ---- Jobs --------------------------------------------------------------------------------

    def status(self, job_id: str) -> JobStatus | None:
        """The status of the Job by its events so far; None if it was not submitted."""
        job = self.jobs.get(job_id)
        return self.ended.get(job_id) if job is None else job.status

    def _submitted(self, event: Event) -> None:
        data, job_id = from_json(event.data), str(event.job_id)
        if job_id in self.jobs:
            self._broken("LegalPath", f"{job_id} is submitted twice")
        position = data["position"]
        if position <= self._last_position:
            what = f"{job_id} has position {position}, which comes after {self._last_position}"
            self._broken("StablePaging", what)
        self._last_position = max(position, self._last_position)
        place = (-data["priority"], position)
        self.jobs[job_id] = OpenJob(intern(data["type"]), place, _hold(data))
        self._line_up(job_id)

    def _queued(self, event: Event) -> OpenJob | None:
        """The Job of an event that only a QUEUED one can have."""
        job_id = str(event.job_id)
        job = self.jobs.get(job_id)
        if job is not None and job.status is QUEUED:
            return job
        status = self.status(job_id)
        where = "before it was submitted" if status is None else f"while it is {status}"
        name = "TerminalFinal" if status in TERMINAL else "LegalPath"
        self._broken(name, f"{job_id}: {event.kind} comes {where}")
        return None

    def _updated(self, event: Event) -> None:
        if job := self._queued(event):
            data = from_json(event.data)
            job.place = (-data["priority"], job.place[1])
            job.hold = _hold(data)
            self._line_up(str(event.job_id))

    def _due(self, event: Event) -> None:
        if job := self._queued(event):
            job.hold = "none"
            self._line_up(str(event.job_id))

    def _progressed(self, event: Event) -> None:
        if (status := self.status(str(event.job_id))) is not JobStatus.RUNNING:
            name = "TerminalFinal" if status in TERMINAL else "IntentFirst"
            self._broken(name, f"{event.job_id} makes progress while it is {status}")

    def _move(self, job_id: str | None, after: JobStatus) -> None:
        before = self.status(str(job_id))
        if before is None:
            self._broken("LegalPath", f"{job_id} becomes {after} before it was submitted")
            return
        if after not in TRANSITIONS[before]:
            self._broken(wrong_turn(before, after), f"{job_id} goes from {before} to {after}")
            return
        if after in TERMINAL:
            del self.jobs[str(job_id)]
            self.ended[str(job_id)] = after
        else:
            self.jobs[str(job_id)].status = after

    def _line_up(self, job_id: str) -> None:
        job = self.jobs[job_id]
        if job.hold == "none":
            heappush(self._queues.setdefault(job.type, []), (job.place, job_id))

    def _first(self, type_name: str) -> Place | None:
        queue = self._queues.get(type_name, [])
        while queue:
            place, job_id = queue[0]
            job = self.jobs.get(job_id)
            if job is not None and (job.status, job.hold, job.place) == (QUEUED, "none", place):
                return place
            heappop(queue)
        return None

    # ---- runs --------------------------------------------------------------------------------

    def _start(self, event: Event) -> None:
        data, run_id = from_json(event.data), str(event.run_id)
        type_name, lane = data["type"], data["lane"]
        if run_id in self.running:
            self._broken("OneRun", f"{run_id} starts a second time")
        if self.concurrency is not None and type_name not in self.limits:
            self._broken("DispatchOrder", f"{run_id} starts, and {type_name} is not configured")
        if lane == "queue":
            self._check_turn(str(event.job_id), type_name)
        if lane == "direct":
            if run_id not in self._served:
                self._broken("ReservationOrder", f"{run_id} starts, and no claim of it was served")
            self._served.discard(run_id)
        if event.job_id is not None:
            self._move(event.job_id, JobStatus.RUNNING)
        self.running[run_id] = (type_name, lane)
        if lane != "legacy":
            self._check_slots(f"{run_id} starts")
            limit = self.limits.get(type_name)
            if limit is not None and self._busy(type_name) > limit:
                what = f"{run_id} is one more {type_name} than the {limit} of its type"
                self._broken("Limit", what)

    def _check_turn(self, job_id: str, type_name: str) -> None:
        if not self.moves:
            self._broken("ReservationOrder", f"{job_id} starts while the scheduler is stopped")
        if self.waiting:
            what = f"{job_id} starts while {next(iter(self.waiting))} waits"
            self._broken("ReservationOrder", what)
        job = self.jobs.get(job_id)
        if job is None or job.status is not QUEUED:
            return  # which `_move` has a name for
        if job.hold != "none":
            self._broken("DispatchOrder", f"{job_id} starts before it is due")
        for other, limit in self.limits.items():
            below = limit is None or self._busy(other) < limit
            if below and (first := self._first(other)) is not None and first < job.place:
                what = f"{job_id} starts before the Job at position {first[1]}"
                self._broken("DispatchOrder", what)

    def _check_slots(self, what: str) -> None:
        if self.concurrency is not None and (taken := self._taken()) > self.concurrency:
            self._broken("Limit", f"{what}: {taken} of {self.concurrency} slots are taken")

    def _taken(self) -> int:
        return self._busy() + len(self.held)

    def _busy(self, type_name: str | None = None) -> int:
        return sum(
            lane != "legacy" and type_name in (None, name) for name, lane in self.running.values()
        )

    def _must_run(self, event: Event) -> None:
        if event.run_id not in self.running:
            over = event.run_id in self.finished
            what = f"{event.kind} comes {'when it is over' if over else 'before its start'}"
            self._broken("TerminalFinal" if over else "IntentFirst", f"{event.run_id}: {what}")

    def _finish(self, event: Event) -> None:
        self._must_run(event)
        self.running.pop(str(event.run_id), None)
        self.finished.add(str(event.run_id))
        if event.job_id is not None:
            self._move(event.job_id, JobStatus(from_json(event.data)["status"]))

    def _collected(self, event: Event) -> None:
        if event.run_id in self.running:
            self._broken("LegalPath", f"{event.run_id}: {event.kind} comes before its end")

    # ---- reservations ------------------------------------------------------------------------

    def _requested(self, event: Event) -> None:
        data = from_json(event.data)
        self.waiting[data["reservation_id"]] = self.life if data["claim"] == "direct" else ""

    def _hold(self, event: Event) -> None:
        name = from_json(event.data)["reservation_id"]
        if next(iter(self.waiting), None) != name:
            self._broken("ReservationOrder", f"{name} is held out of turn")
        self.waiting.pop(name, None)
        self.held.add(name)
        self._check_slots(f"{name} is held")

    def _end_reservation(self, event: Event) -> None:
        data = from_json(event.data)
        name = data["reservation_id"]
        if name not in self.waiting and name not in self.held:
            self._broken("ReservationOrder", f"{name} ends twice, or was never requested")
        elif data["reason"] == "started":
            self._serve(name, str(event.run_id))
        self.waiting.pop(name, None)
        self.held.discard(name)

    def _serve(self, name: str, run_id: str) -> None:
        if next(iter(self.waiting), None) != name:
            self._broken("ReservationOrder", f"{name} is served out of turn")
        if self.waiting.get(name) != self.life:
            self._broken("RecoveryIdempotent", f"{name} is served in a life that did not ask")
        self._served.add(run_id)

    # ---- the server --------------------------------------------------------------------------

    def _set_moving(self, moves: bool) -> None:
        self.moves = moves

    def _configure(self, event: Event) -> Any:
        data = from_json(event.data)
        self.concurrency, self.limits = data["concurrency"], data["types"]
        return data

    def _begin_life(self, event: Event) -> None:
        life = self._configure(event)["server_id"]
        if life != self.life and life in self._lives:
            self._broken("SingleWriter", f"{life} goes on at event {event.seq}, after {self.life}")
        self.life = life
        self._lives.add(life)


def _hold(data: dict[str, Any]) -> str:
    """Read the hold from an event's data; before migration 0009 it was a boolean."""
    hold = data.get("hold")
    return str(hold) if hold is not None else "time" if data["deferred"] else "none"


def wrong_turn(before: JobStatus, after: JobStatus) -> str:
    """The invariant that a change breaks which the table of transitions does not have."""
    if after is JobStatus.RUNNING and before is JobStatus.CANCELLED:
        return "CancelBeforeStart"
    if after is JobStatus.RUNNING and before is not JobStatus.SKIPPED:
        return "OneRun"
    return "TerminalFinal" if before in TERMINAL else "LegalPath"
