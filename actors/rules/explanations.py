"""Why a Job does not run, by the rules of `dispatch.py`, and when it probably will.

Invariant: a QUEUED Job with no reason against it is one that the next dispatch starts, and the next
dispatch starts no other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import apsw

from actors.rules import estimate
from actors.rules.dispatch import Capacity, read_capacity
from config.job_type import JobType
from headway.model.explanation import Ending, Estimate, Explanation, Reason
from headway.model.field import TIME_MAX_US, from_us, to_us
from headway.model.job import TERMINAL, Job, JobStatus
from storage import queue_position, reservations
from storage.database import snapshot
from storage.jobs import find_job
from storage.runs import run_id_of

NAMED_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What was configured, and whether this server still starts anything.

    `host_reason`: what of the host lets nothing start; `waiting`: runs that are claimed all the
    same, and begin when it is over.
    """

    types: Mapping[str, JobType]
    concurrency: int
    draining: bool
    host_reason: str | None = None
    waiting: frozenset[str] = frozenset()


def explain(
    connection: apsw.Connection, job_id: str, rules: Rules, now: int, boot_us: int
) -> Explanation:
    """Why this Job waits, its place, and an estimate of its start. `boot_us`: now, from boot.

    Raises:
        Refusal: `not_found`.
    """
    with snapshot(connection):
        job = find_job(connection, job_id)
        if job.status is JobStatus.QUEUED:
            return Case(connection, job, rules, now, boot_us).explanation()
        return _beyond_the_queue(connection, job, rules, now, boot_us)


def _beyond_the_queue(
    connection: apsw.Connection, job: Job, rules: Rules, now: int, boot_us: int
) -> Explanation:
    ending, waiting = None, list[Reason]()
    if job.status in TERMINAL:
        message = f"it has ended: {job.status}"
    elif rules.host_reason is not None and run_id_of(connection, job.job_id) in rules.waiting:
        message = f"it begins as soon as the host lets it: {rules.host_reason}"
        waiting = [_reason_of_host(rules.host_reason)]
    else:
        message = "it runs"
        ending = _ending(connection, job, now, boot_us)
    return Explanation(
        job_id=job.job_id,
        status=job.status,
        waiting=waiting,
        ahead=None,
        ahead_exact=True,
        estimate=None,
        ending=ending,
        message=message,
    )


def _ending(connection: apsw.Connection, job: Job, now: int, boot_us: int) -> Ending | None:
    samples = queue_position.last_durations_s(connection, job.type)
    found = [run for run in queue_position.occupants(connection) if run.name == job.job_id]
    if not samples or not found:
        return None
    left = estimate.left(samples, found[0].elapsed_s(now, boot_us), found[0].timeout_s)
    short, mean, long = (from_us(_later(now, seconds)) for seconds in left)
    return Ending(earliest=short, end_at=mean, latest=long)


@dataclass(frozen=True)
class Case:
    """One QUEUED Job at one moment."""

    connection: apsw.Connection
    job: Job
    rules: Rules
    now: int
    boot_us: int

    def explanation(self) -> Explanation:
        """The reasons, the place and the estimate."""
        reasons = list(self._reasons())
        is_in_line = self._is_known and not self._is_early
        estimate_ = self._estimate({reason.code for reason in reasons})
        return Explanation(
            job_id=self.job.job_id,
            status=self.job.status,
            waiting=reasons,
            ahead=self._ahead_count if is_in_line else None,
            ahead_exact=self._is_exact,
            estimate=estimate_,
            ending=None,
            message=_sentence(reasons),
        )

    # ---- the reasons -------------------------------------------------------------------------

    def _reasons(self) -> Iterator[Reason]:
        if self.rules.draining:
            yield Reason(
                code="draining", message="this server is shutting down: the next one starts Jobs"
            )
        if not self._is_known:
            yield Reason(
                code="unknown_type",
                message=f"the type {self.job.type} is not configured: add it to the configuration"
                " and reload, or cancel the Job",
            )
        if self.job.expires_at is not None and to_us(self.job.expires_at) <= self.now:
            yield Reason(code="expired", message="it has expired, and will be skipped")
        if self._is_early:
            at = self.job.run_at
            yield Reason(code="not_due", message="it may not start before its run_at", until=at)
        if not self._capacity.queue_moves:
            yield Reason(code="scheduler_stopped", message="the scheduler is stopped: start it")
        if self.rules.host_reason is not None:
            yield _reason_of_host(self.rules.host_reason)
        yield from self._reasons_of_room()
        if self._is_known and self._ahead_may_start and not self._starts_now:
            n, more = self._ahead_count, "" if self._is_exact else " or more"
            yield Reason(
                code="jobs_ahead",
                message=f"{n:,}{more} {'Job goes' if n == 1 else 'Jobs go'} before it",
                count=n,
            )

    def _reasons_of_room(self) -> Iterator[Reason]:
        if self._claims and (not self._claims_fit or self._free <= 0):
            yield Reason(
                code="reservation",
                message="the next slot is claimed, ahead of the whole queue",
                count=len(self._claims),
                by=tuple(claim for claim, _, _ in self._claims[:NAMED_MAX]),
            )
        if self._capacity.free <= 0:
            held = reservations.held_until(self.connection)
            by = [run.name for run in self._occupants] + [name for name, _ in held]
            yield Reason(
                code="no_free_slot",
                message=f"every slot is taken ({self._capacity.slots})",
                count=self._capacity.slots,
                by=tuple(by[:NAMED_MAX]),
            )
        if self._is_known and not self._capacity.below_limit(self.job.type):
            limit = self._capacity.limit(self.job.type)
            of_type = [run.name for run in self._occupants if run.type == self.job.type]
            yield Reason(
                code="type_limit",
                message=f"as many {self.job.type} run as may run at once ({limit})",
                count=limit,
                by=tuple(of_type[:NAMED_MAX]),
            )

    @cached_property
    def _is_known(self) -> bool:
        return self.job.type in self.rules.types

    @cached_property
    def _is_early(self) -> bool:
        return self.job.run_at is not None and to_us(self.job.run_at) > self.now

    @cached_property
    def _occupants(self) -> list[queue_position.Occupant]:
        return queue_position.occupants(self.connection)

    @cached_property
    def _claims(self) -> list[tuple[str, str | None, float | None]]:
        return reservations.waiting_reservations(self.connection)

    @cached_property
    def _served(self) -> tuple[Capacity, int, bool]:
        """The capacity after the claims that fit now, the slots still free, whether all did fit."""
        now = read_capacity(self.connection, self.rules.types, self.rules.concurrency)
        free = now.free
        for _, type_, _ in self._claims:
            if free <= 0 or not (type_ is None or now.below_limit(type_)):
                return now, free, False
            now.busy[type_ or ""] = now.busy.get(type_ or "", 0) + 1
            free -= 1
        return now, free, True

    @property
    def _capacity(self) -> Capacity:
        return self._served[0]

    @property
    def _free(self) -> int:
        return self._served[1]

    @property
    def _claims_fit(self) -> bool:
        return self._served[2]

    @cached_property
    def _ahead(self) -> dict[str, queue_position.Ahead]:
        return queue_position.ahead_of(
            self.connection,
            self.rules.types,
            own_type=self.job.type,
            priority=self.job.priority,
            position=self.job.position,
        )

    @property
    def _ahead_count(self) -> int:
        return sum(ahead.jobs for ahead in self._ahead.values())

    @property
    def _is_exact(self) -> bool:
        return all(ahead.exact for ahead in self._ahead.values())

    @property
    def _ahead_may_start(self) -> bool:
        """Whether a Job that goes before this one is not held back by the limit of its type."""
        return any(
            ahead.jobs and self._capacity.below_limit(type_) for type_, ahead in self._ahead.items()
        )

    @cached_property
    def _starts_now(self) -> bool:
        """Whether the free slots, after what goes before it has taken its own, reach this Job."""
        if not self._claims_fit or not self._capacity.below_limit(self.job.type):
            return False
        taken = {type_: min(n.jobs, self._places(type_)) for type_, n in self._ahead.items()}
        own = self._ahead[self.job.type].jobs < self._places(self.job.type)
        return own and sum(taken.values()) < self._free

    def _places(self, type_: str) -> int:
        limit = self._capacity.limit(type_)
        busy = self._capacity.busy.get(type_, 0)
        return max(0, self._free if limit is None else min(self._free, limit - busy))

    # ---- the estimate ------------------------------------------------------------------------

    def _estimate(self, codes: set[str]) -> Estimate | None:
        if codes & {"draining", "unknown_type", "expired", "scheduler_stopped", "host"}:
            return None
        span = estimate.Span(0.0, 0.0, 0.0)
        if codes - {"not_due"}:
            found = self._span()
            if found is None:
                return None
            span = found
        due = to_us(self.job.run_at) if self.job.run_at is not None else 0
        moments = (from_us(max(due, _later(self.now, seconds))) for seconds in span)
        earliest, mean, latest = moments
        return Estimate(start_at=mean, earliest=earliest, latest=latest)

    def _span(self) -> estimate.Span | None:
        if not self._is_exact or any(type_ is None for _, type_, _ in self._claims):
            return None  # too long a line; or a hold waits, which may end at any moment
        types = {type_ for type_, ahead in self._ahead.items() if ahead.jobs}
        types |= {run.type for run in self._occupants}
        types |= {type_ for _, type_, _ in self._claims if type_ is not None}
        samples = {
            type_: queue_position.last_durations_s(self.connection, type_) for type_ in types
        }
        busy = self._busy(samples)
        if busy is None:
            return None
        counts = {type_: ahead.jobs for type_, ahead in self._ahead.items() if ahead.jobs}
        order = [type_ for _, type_, _ in self._claims if type_ is not None]
        for type_ in order:
            counts[type_] = counts.get(type_, 0) + 1
        if sum(counts.values()) <= estimate.STEPPED_MAX:
            order += queue_position.types_ahead(
                self.connection,
                self.rules.types,
                priority=self.job.priority,
                position=self.job.position,
            )
        limits = {type_: self._capacity.limit(type_) for type_ in self.rules.types}
        return estimate.start(
            estimate.Line(
                order=order if sum(counts.values()) <= estimate.STEPPED_MAX else None,
                counts=counts,
            ),
            self.job.type,
            slots=self._capacity.slots,
            busy=busy,
            limits=limits,
            samples=samples,
        )

    def _busy(self, samples: Mapping[str, list[float]]) -> list[estimate.Busy] | None:
        """What fills slots now. A hold may be given back at any moment, or last to its end."""
        busy: list[estimate.Busy] = []
        for run in self._occupants:
            if not samples[run.type]:
                return None
            elapsed_s = run.elapsed_s(self.now, self.boot_us)
            left = estimate.left(samples[run.type], elapsed_s, run.timeout_s)
            busy.append(estimate.Busy(type=run.type, left=left))
        for _, expires_at in reservations.held_until(self.connection):
            seconds = max(0.0, (expires_at - self.now) / 1e6)
            busy.append(estimate.Busy(type=None, left=estimate.Span(0.0, seconds, seconds)))
        return busy


def _reason_of_host(reason: str) -> Reason:
    return Reason(code="host", message=f"the host lets nothing start: {reason}")


def _later(now: int, seconds: float) -> int:
    return min(TIME_MAX_US, now + round(seconds * 1e6))


def _sentence(reasons: list[Reason]) -> str:
    if not reasons:
        return "it starts now"
    return "it waits: " + "; ".join(reason.message for reason in reasons)
