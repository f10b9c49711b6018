"""Reservations in the rules: direct runs and operators' holds, each a claim on the next slot."""

import apsw
from pydantic_core import to_json

from actors import messages as m
from actors.rules.context import RuleContext
from actors.rules.dispatch import dispatch_queue
from actors.rules.noun import Noun
from actors.rules.runs import stop_run
from headway.model.problem import Refusal
from headway.model.reservation import Reservation
from storage import reservations
from storage.transaction import Transaction


def start_direct(
    tx: Transaction, context: RuleContext, message: m.StartDirect
) -> m.DirectReservation:
    """Claim the next slot for a direct run."""
    if context.draining:
        raise Refusal("shutting_down", "the server is shutting down: try again shortly")
    context.setup.job_type(message.type)
    context.setup.limits.check_direct(tx)
    reserved = m.DirectReservation(
        reservation_id=context.new_id("rsv"), run_id=context.new_id("run")
    )
    reservations.insert_direct(
        tx,
        reserved.reservation_id,
        run_id=reserved.run_id,
        type=message.type,
        params=message.params,
        server_id=context.identity.server_id,
    )
    return reserved


def abandon_direct(tx: Transaction, context: RuleContext, message: m.AbandonDirect) -> None:
    """End the claim, or cancel the run that it has become."""
    reserved = message.reserved
    if not reservations.end(tx, reserved.reservation_id, "the client went away"):
        stop_run(tx, context, reserved.run_id, "cancel")


def reserve(tx: Transaction, context: RuleContext, message: m.Reserve) -> Reservation:
    """Claim the next slot to keep it empty."""
    context.setup.limits.check_hold(tx, message.ttl_s)
    reservation_id = context.new_id("rsv")
    reservations.insert_hold(
        tx, reservation_id, ttl_s=message.ttl_s, server_id=context.identity.server_id
    )
    # So that the answer is HELD if a slot is free already.
    dispatch_queue(tx, context)
    return reservations.find_reservation(tx.connection, reservation_id)


def release(tx: Transaction, _: RuleContext, message: m.ReleaseReservation) -> Reservation:
    """End an operator's reservation."""
    reservation_id = message.reservation_id
    found = reservations.find_reservation(tx.connection, reservation_id)
    if found.kind == "direct":
        raise Refusal(
            "wrong_state", f"{reservation_id} belongs to a direct run and ends with its client"
        )
    reservations.end(tx, reservation_id, "released")
    return reservations.find_reservation(tx.connection, reservation_id)


def release_all(tx: Transaction, _: RuleContext, __: m.ReleaseReservations) -> list[Reservation]:
    """End every operator's reservation."""
    return reservations.end_holds(tx, "released")


def next_due(connection: apsw.Connection) -> int | None:
    """When (µs) the next held slot is given back by itself."""
    return reservations.next_expiry(connection)


def fire(tx: Transaction, _: RuleContext) -> None:
    """Give back the slots whose time is over."""
    reservations.end_expired(tx)


def recover(tx: Transaction, context: RuleContext) -> None:
    """End direct claims of earlier servers: their clients are gone."""
    server_id = context.identity.server_id
    reservations.end_direct(tx, "the server restarted", except_server_id=server_id)


NOUN = Noun(
    handlers={
        m.StartDirect: start_direct,
        m.AbandonDirect: abandon_direct,
        m.Reserve: reserve,
        m.ReleaseReservation: release,
        m.ReleaseReservations: release_all,
    },
    created={
        Reservation: lambda made, _: (
            to_json(made),
            f"/scheduler/reservations/{made.reservation_id}",
        )
    },
    next_due=next_due,
    fire=fire,
    recover=recover,
)
