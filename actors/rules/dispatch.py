"""What may start now: order and limits. Part of the core, so plain synchronous code.

The order: reservations in the order in which they came, each ahead of the whole queue; then, among
the eligible Jobs, the higher priority, then the earlier position. Never more at once than there are
slots, nor more of a type than its limit.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

import apsw

from actors import messages as m
from actors.actor import Message
from actors.identity import Identity
from config.job_type import JobType
from config.run_limits import KeepLimits
from config.setup import Setup
from headway.model.field import to_us
from headway.model.job import Job, JobStatus
from headway.model.run import Lane
from storage import intents, jobs, reservations, runs, scheduler
from storage.collections import Unfinished
from storage.intents import RunIntent, digest_of
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The free slots at one moment. `busy` grows while slots are being filled."""

    slots: int
    free: int
    queue_moves: bool
    busy: dict[str, int]
    overrides: dict[str, int]
    types: Mapping[str, JobType]

    def limit(self, type_name: str) -> int | None:
        """How many of the type may run at once."""
        return self.overrides.get(type_name, self.types[type_name].concurrency)

    def below_limit(self, type_name: str) -> bool:
        """Whether one more of the type may run."""
        limit = self.limit(type_name)
        return limit is None or self.busy.get(type_name, 0) < limit


def read_capacity(
    connection: apsw.Connection, types: Mapping[str, JobType], concurrency: int
) -> Capacity:
    """The capacity that is left now, from the database. `concurrency` as configured."""
    override, overrides = scheduler.overrides(connection)
    busy = runs.busy_by_type(connection)
    slots = override or concurrency
    return Capacity(
        slots=slots,
        free=slots - sum(busy.values()) - reservations.count_held(connection),
        queue_moves=scheduler.is_running(connection),
        busy=busy,
        overrides=overrides,
        types=types,
    )


class Sealed(TypedDict):
    """What a claimed run's exit record is known by: see `shim.py`."""

    seal: str
    digests: tuple[str, ...]


class Dispatch:
    """Turns QUEUED Jobs and reservations into runs.

    `setup`: as the message that is being applied sees it. `draining`: nothing starts any more.
    `life`: see `EnsureRun`. While the host is not fit for a start nothing is claimed: `blocked` is
    why claimed runs do not begin (see `StartsBlocked`), `short` is what there is too little of, as
    `shortage` last said.
    """

    def __init__(
        self,
        *,
        setup: Setup,
        identity: Identity,
        new_id: Callable[[str], str],
        shortage: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        self.setup = setup
        self._shortage = shortage
        self.blocked: str | None = None
        self.waiting: frozenset[str] = frozenset()
        self.short: str | None = None
        self._identity = identity
        self._new_id = new_id
        self.draining = False
        self.life = 0

    @property
    def host_reason(self) -> str | None:
        """Why the host lets nothing start; None: it does."""
        return self.blocked or self.short

    def note_blocked(self, reason: str | None, run_ids: frozenset[str]) -> None:
        """Take in why claimed runs do not begin; None: they do."""
        self.blocked, self.waiting = reason, run_ids

    def dispatch(self, tx: Transaction, effects: list[Message]) -> None:
        """Promote, expire, then fill the free slots: reservations first, then the queue."""
        jobs.promote_due(tx)
        jobs.skip_expired(tx)
        reservations.end_expired(tx)
        if self.draining:
            return
        types = self.setup.job_types
        now = read_capacity(tx.connection, types, self.setup.concurrency)
        free = now.free
        # Also while no slot is free: what runs may wait for the space.
        self.short = self._shortage(self.setup.free_space_bytes)
        if self.host_reason is not None:
            return
        while free > 0:
            claim = reservations.first_waiting(tx)
            started: str | None
            if claim is not None:
                started = self._serve_claim(tx, claim, now.below_limit, effects)
            elif now.queue_moves:
                job = jobs.next_eligible(tx, list(filter(now.below_limit, types)))
                started = None if job is None else self.claim(tx, job, "queue", effects)
            else:
                return
            if started is None:
                return
            now.busy[started] = now.busy.get(started, 0) + 1
            free -= 1

    def _serve_claim(
        self,
        tx: Transaction,
        claim: reservations.Claim,
        below_limit: Callable[[str], bool],
        effects: list[Message],
    ) -> str | None:
        """Give the slot to a reservation; None if its type is at its limit, and all must wait."""
        if claim.direct is None:
            reservations.hold(tx, claim.reservation_id)
            return ""
        if not below_limit(claim.direct.type):
            return None
        reservations.end(tx, claim.reservation_id, "started")
        job_type = self.setup.job_types[claim.direct.type]
        intent = RunIntent(
            run_id=claim.direct.run_id,
            job_id=None,
            type=claim.direct.type,
            lane="direct",
            params=claim.direct.params,
            timeout_s=job_type.timeout_s,
            boot_id=self._identity.boot_id,
            adopt=job_type.adopt,
            **self._seal(job_type),
        )
        self._intend(tx, intent, claim.created_at, effects)
        return intent.type

    def claim(self, tx: Transaction, job: Job, lane: Lane, effects: list[Message]) -> str:
        """QUEUED → RUNNING, with the intent of its one run. Returns the type."""
        jobs.move(tx, job.job_id, JobStatus.QUEUED, JobStatus.RUNNING)
        job_type = self.setup.job_types[job.type]
        intent = RunIntent(
            run_id=self._new_id("run"),
            job_id=job.job_id,
            type=job.type,
            lane=lane,
            params=job.params,
            timeout_s=job.timeout_s or job_type.timeout_s,
            boot_id=self._identity.boot_id,
            adopt=job_type.adopt,
            **self._seal(job_type),
        )
        self._intend(tx, intent, to_us(max(job.created_at, job.run_at or job.created_at)), effects)
        return job.type

    def _seal(self, job_type: JobType) -> Sealed:
        seal = self._new_id("seal") if job_type.adopt else ""
        return {"seal": seal, "digests": (digest_of(seal),) if seal else ()}

    def _intend(
        self, tx: Transaction, intent: RunIntent, eligible_at: int, effects: list[Message]
    ) -> None:
        job_type = self.setup.job_types[intent.type]
        intents.insert_run(
            tx,
            intent,
            server_id=self._identity.server_id,
            argv=job_type.display_argv(intent.params),
            eligible_at=min(eligible_at, tx.now),
        )
        effects.append(self.ensure(replace(intent, unbegun=True)))

    def ensure(self, intent: RunIntent) -> m.EnsureRun:
        """What the executor is told of a run, with its type as it is configured now."""
        job_type = self.setup.job_types.get(intent.type)
        return m.EnsureRun(intent=intent, job_type=job_type, life=self.life)

    def collect(self, unfinished: Iterable[Unfinished]) -> Iterator[m.CollectRun]:
        """What the executor is told of runs that have ended, whose artifacts are still to come."""
        for each in unfinished:
            job_type = self.setup.job_types.get(each.type)
            limits = KeepLimits() if job_type is None else job_type.keep_limits
            yield m.CollectRun(unfinished=each, limits=limits)

    def next_due(self, tx: Transaction) -> int | None:
        moments = (jobs.next_due(tx), reservations.next_expiry(tx))
        return min((moment for moment in moments if moment is not None), default=None)
