"""Dispatch: which Jobs and reservations get the free slots, by order and limits.

The order: reservations in the order in which they came, each ahead of the whole queue; then, among
the eligible Jobs, the higher priority, then the earlier position. Never more at once than there are
slots, nor more of a type than its limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import apsw

from actors.rules.context import RuleContext
from actors.rules.runs import claim, start_direct_run
from config.job_type import JobType
from storage import jobs, reservations, runs, scheduler
from storage.reservations import WaitingReservation
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


def dispatch_queue(tx: Transaction, context: RuleContext) -> None:
    """Fire the timers, then fill the free slots: reservations first, then the queue."""
    for fire in context.timers:
        fire(tx, context)
    if context.draining:
        return
    setup = context.setup
    capacity = read_capacity(tx.connection, setup.job_types, setup.concurrency)
    free = capacity.free
    # Also while no slot is free: what runs may wait for the space.
    context.look_for_space()
    if context.host_reason is not None:
        return
    while free > 0 and (started := _start_next(tx, context, capacity)) is not None:
        capacity.busy[started] = capacity.busy.get(started, 0) + 1
        free -= 1


def _start_next(tx: Transaction, context: RuleContext, capacity: Capacity) -> str | None:
    """Give a slot to what goes first. Its type (empty: it is only held); None: all must wait."""
    if (waiting := reservations.first_waiting(tx)) is not None:
        return _serve(tx, context, capacity, waiting)
    if not capacity.queue_moves:
        return None
    types = list(filter(capacity.below_limit, context.setup.job_types))
    job = jobs.next_eligible(tx, types)
    return None if job is None else claim(tx, context, job, "queue")


def _serve(
    tx: Transaction, context: RuleContext, capacity: Capacity, waiting: WaitingReservation
) -> str | None:
    """Give the slot to a reservation; None if its type is at its limit, and all must wait."""
    if waiting.direct is None:
        reservations.hold(tx, waiting.reservation_id)
        return ""
    if not capacity.below_limit(waiting.direct.type):
        return None
    reservations.end(tx, waiting.reservation_id, "started")
    return start_direct_run(tx, context, waiting.direct, waiting.created_at)
