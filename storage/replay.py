"""What the facts alone say: the queue, the runs and the reservations, followed from fact to fact.

It shares no code with what decides, so that the two can disagree: `headway verify` and the
simulation find a wrong decision here by the facts that it left.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from pydantic_core import from_json

from storage.job import TERMINAL, TRANSITIONS, JobStatus
from storage.transaction import Fact

Breach = tuple[str, str]
"""(invariant, sentence)."""

Place = tuple[int, int]
"""(-priority, position): the smaller goes first."""


@dataclass(slots=True)
class Told:
    """A Job as its facts tell it. `eligible`: no `run_at` holds it back."""

    type: str
    place: Place
    eligible: bool
    status: JobStatus = JobStatus.QUEUED


@dataclass(slots=True)
class Replay:
    """Follows the facts of one database from the first on.

    - LegalPath: each Job's facts follow the table of transitions.
    - DispatchOrder: no eligible Job of higher priority, or of the same and earlier position, is
      passed over when one starts from the queue, unless its type is at its limit.
    - Limit: no start exceeds the slots, of which holds keep theirs, or the limit of its type.
    - ReservationOrder: reservations are served in their order, each ends once, and no Job starts
      from the queue while one waits, or while the scheduler is stopped.
    - FactsAtomic: the facts number from 1 without a gap.
    """

    jobs: dict[str, Told] = field(default_factory=dict)
    running: dict[str, tuple[str, str]] = field(default_factory=dict)  # run: (type, lane)
    waiting: dict[str, None] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    concurrency: int | None = None  # not known before the first start of a server
    limits: dict[str, int | None] = field(default_factory=dict)
    moves: bool = True
    last_seq: int = 0
    _queues: dict[str, list[tuple[Place, str]]] = field(default_factory=dict)

    def apply(self, fact: Fact) -> Iterator[Breach]:
        """Take in the next fact; what it breaks."""
        if fact.seq != self.last_seq + 1:
            yield "FactsAtomic", f"fact {fact.seq} comes after {self.last_seq}"
        self.last_seq = fact.seq
        data = from_json(fact.data)
        match fact.kind.partition("."):
            case ("job", _, change) if fact.job_id is not None:
                yield from self._job(fact.job_id, change, data)
            case ("run", _, "started"):
                yield from self._start(fact, data)
            case ("run", _, "finished"):
                yield from self._finish(fact, data)
            case ("reservation", _, change):
                yield from self._reservation(str(data["reservation_id"]), change)
            case ("scheduler", _, "started" | "stopped" as change):
                self.moves = change == "started"
            case (_, _, "configured" | "started"):  # of the scheduler, of the server
                self.concurrency, self.limits = data["concurrency"], data["types"]

    # ---- Jobs --------------------------------------------------------------------------------

    def _job(self, job_id: str, change: str, data: dict[str, Any]) -> Iterator[Breach]:
        if change == "submitted":
            if job_id in self.jobs:
                yield "LegalPath", f"{job_id} is submitted twice"
            place = (-data["priority"], data["position"])
            self.jobs[job_id] = Told(data["type"], place, not data["deferred"])
            self._line_up(job_id)
        elif (job := self.jobs.get(job_id)) is None:
            yield "LegalPath", f"{job_id}: job.{change} comes before it was submitted"
        elif change == "updated":
            job.place = (-data["priority"], job.place[1])
            job.eligible = not data["deferred"]
            self._line_up(job_id)
        elif change == "due":
            job.eligible = True
            self._line_up(job_id)
        elif change in ("cancelled", "skipped"):
            yield from self._move(job_id, JobStatus(change.upper()))

    def _move(self, job_id: str, after: JobStatus) -> Iterator[Breach]:
        if (job := self.jobs.get(job_id)) is None:
            yield "LegalPath", f"{job_id} becomes {after} before it was submitted"
            return
        if after not in TRANSITIONS[job.status]:
            what = "TerminalFinal" if job.status in TERMINAL else "LegalPath"
            yield what, f"{job_id} goes from {job.status} to {after}"
        job.status = after

    def _line_up(self, job_id: str) -> None:
        job = self.jobs[job_id]
        if job.eligible and job.status is JobStatus.QUEUED:
            heappush(self._queues.setdefault(job.type, []), (job.place, job_id))

    def _first(self, type_name: str) -> Place | None:
        queue = self._queues.get(type_name, [])
        while queue:
            place, job_id = queue[0]
            job = self.jobs[job_id]
            if job.status is JobStatus.QUEUED and job.eligible and job.place == place:
                return place
            heappop(queue)
        return None

    # ---- runs --------------------------------------------------------------------------------

    def _start(self, fact: Fact, data: dict[str, Any]) -> Iterator[Breach]:
        type_name, lane, run_id = data["type"], data["lane"], str(fact.run_id)
        if lane == "queue":
            yield from self._check_turn(str(fact.job_id), type_name)
        if fact.job_id is not None:
            yield from self._move(fact.job_id, JobStatus.RUNNING)
        self.running[run_id] = (type_name, lane)
        if lane != "legacy":
            yield from self._check_slots(f"{run_id} starts")
            limit = self.limits.get(type_name)
            if limit is not None and self._busy(type_name) > limit:
                yield "Limit", f"{run_id} is one more {type_name} than the {limit} of its type"

    def _check_turn(self, job_id: str, type_name: str) -> Iterator[Breach]:
        if not self.moves:
            yield "ReservationOrder", f"{job_id} starts while the scheduler is stopped"
        if self.waiting:
            yield "ReservationOrder", f"{job_id} starts while {next(iter(self.waiting))} waits"
        job = self.jobs.get(job_id)
        if job is None or not job.eligible:
            yield "DispatchOrder", f"{job_id} starts before it is due"
            return
        for other in self.limits:
            limit = self.limits[other]
            below = limit is None or self._busy(other) < limit
            if below and (first := self._first(other)) is not None and first < job.place:
                yield "DispatchOrder", f"{job_id} starts before the Job at position {first[1]}"

    def _check_slots(self, what: str) -> Iterator[Breach]:
        taken = self._busy() + len(self.held)
        if self.concurrency is not None and taken > self.concurrency:
            yield "Limit", f"{what}: {taken} of {self.concurrency} slots are taken"

    def _busy(self, type_name: str | None = None) -> int:
        return sum(
            lane != "legacy" and type_name in (None, name) for name, lane in self.running.values()
        )

    def _finish(self, fact: Fact, data: dict[str, Any]) -> Iterator[Breach]:
        if self.running.pop(str(fact.run_id), None) is None:
            yield "TerminalFinal", f"{fact.run_id} finishes, but does not run"
        if fact.job_id is not None:
            yield from self._move(fact.job_id, JobStatus(data["status"]))

    # ---- reservations ------------------------------------------------------------------------

    def _reservation(self, name: str, change: str) -> Iterator[Breach]:
        if change == "requested":
            self.waiting[name] = None
        elif change == "held":
            if next(iter(self.waiting), None) != name:
                yield "ReservationOrder", f"{name} is held out of turn"
            self.waiting.pop(name, None)
            self.held.add(name)
            yield from self._check_slots(f"{name} is held")
        else:
            if name in self.ended or (name not in self.waiting and name not in self.held):
                yield "ReservationOrder", f"{name} ends twice, or was never requested"
            self.waiting.pop(name, None)
            self.held.discard(name)
            self.ended.add(name)


NAMES = ("LegalPath", "TerminalFinal", "DispatchOrder", "Limit", "ReservationOrder", "FactsAtomic")
"""The invariants that a replay decides."""
