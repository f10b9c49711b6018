"""Reservations in SQL: claims on the next slot, first come, first served.

Invariant: each reservation ends exactly once, and while one waits the queue does not move.
"""

from dataclasses import dataclass
from typing import Any

import apsw
from pydantic_core import from_json, to_json

from headway.model.field import from_us
from headway.model.problem import Refusal
from headway.model.reservation import Reservation
from storage.transaction import Transaction

COLUMNS = (
    "reservation_id, kind, state, run_id, ttl_s, created_at, held_at, expires_at, ended_at,"
    " end_reason"
)


def insert_direct(
    tx: Transaction,
    reservation_id: str,
    *,
    run_id: str,
    type: str,
    params: dict[str, Any],
    server_id: str,
) -> None:
    """Claim the next slot for a direct run that waits for it."""
    tx.execute(
        "INSERT INTO reservations (reservation_id, kind, state, run_id, type, params, server_id,"
        " created_at) VALUES (?, 'direct', 'WAITING', ?, ?, ?, ?, ?)",
        (reservation_id, run_id, type, to_json(params).decode(), server_id, tx.now),
    )
    tx.emit(
        "reservation.requested",
        run_id=run_id,
        reservation_id=reservation_id,
        claim="direct",
        type=type,
    )


def insert_hold(tx: Transaction, reservation_id: str, *, ttl_s: float, server_id: str) -> None:
    """Claim the next slot to keep it empty for `ttl_s` seconds from when it is held."""
    tx.execute(
        "INSERT INTO reservations (reservation_id, kind, state, ttl_s, server_id, created_at)"
        " VALUES (?, 'hold', 'WAITING', ?, ?, ?)",
        (reservation_id, ttl_s, server_id, tx.now),
    )
    tx.emit("reservation.requested", reservation_id=reservation_id, claim="hold")


def find_reservation(connection: apsw.Connection, reservation_id: str) -> Reservation:
    """The reservation with this id.

    Raises:
        Refusal: `not_found`.
    """
    row = connection.execute(
        f"SELECT {COLUMNS} FROM reservations WHERE reservation_id = ?", (reservation_id,)
    ).fetchone()
    if row is None:
        raise Refusal("not_found", f"there is no reservation {reservation_id}")
    return _from_row(row)


def open_reservations(connection: apsw.Connection) -> list[Reservation]:
    """Those that wait for a slot or hold one, in the order in which they came."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM reservations WHERE state IN ('WAITING', 'HELD') ORDER BY position"
    )
    return [_from_row(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingDirectRun:
    """What a direct request wants to run, and under which name."""

    run_id: str
    type: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingReservation:
    """A reservation that waits. `direct` is the run that it shall become; None: only hold."""

    reservation_id: str
    created_at: int
    direct: WaitingDirectRun | None


def first_waiting(tx: Transaction) -> WaitingReservation | None:
    """The reservation that is served next."""
    row = tx.execute(
        "SELECT reservation_id, created_at, run_id, type, params FROM reservations"
        " WHERE state = 'WAITING' ORDER BY position LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    reservation_id, created_at, run_id, type_, params = row
    direct = None
    if run_id is not None:
        direct = WaitingDirectRun(run_id=run_id, type=type_, params=from_json(params))
    return WaitingReservation(reservation_id=reservation_id, created_at=created_at, direct=direct)


def waiting_reservations(connection: apsw.Connection) -> list[tuple[str, str | None, float | None]]:
    """(reservation_id, type of its direct run, ttl_s of its hold) of all that wait, in order."""
    return list(
        connection.execute(
            "SELECT reservation_id, type, ttl_s FROM reservations WHERE state = 'WAITING'"
            " ORDER BY position"
        )
    )


def held_until(connection: apsw.Connection) -> list[tuple[str, int]]:
    """(reservation_id, µs at which it ends by itself) of all that hold a slot."""
    return list(
        connection.execute(
            "SELECT reservation_id, expires_at FROM reservations WHERE state = 'HELD'"
            " ORDER BY position"
        )
    )


def count_held(connection: apsw.Connection) -> int:
    """How many slots are kept empty."""
    n = connection.execute("SELECT count(*) FROM reservations WHERE state = 'HELD'").get
    assert isinstance(n, int)
    return n


def count_direct(connection: apsw.Connection) -> int:
    """How many direct runs wait for a slot."""
    n = connection.execute(
        "SELECT count(*) FROM reservations WHERE state = 'WAITING' AND kind = 'direct'"
    ).get
    assert isinstance(n, int)
    return n


def count_holds(connection: apsw.Connection) -> int:
    """How many operators' reservations wait or hold a slot."""
    n = connection.execute(
        "SELECT count(*) FROM reservations WHERE state IN ('WAITING', 'HELD') AND kind = 'hold'"
    ).get
    assert isinstance(n, int)
    return n


def any_open(connection: apsw.Connection) -> bool:
    """Whether a claim waits or is held."""
    return bool(
        connection.execute(
            "SELECT EXISTS (SELECT 1 FROM reservations WHERE state IN ('WAITING', 'HELD'))"
        ).get
    )


def hold(tx: Transaction, reservation_id: str) -> None:
    """WAITING → HELD: the slot is empty and stays so until the reservation ends."""
    tx.execute(
        "UPDATE reservations SET state = 'HELD', held_at = ?1,"
        " expires_at = ?1 + CAST(ttl_s * 1000000 AS INTEGER)"
        " WHERE reservation_id = ?2 AND state = 'WAITING'",
        (tx.now, reservation_id),
    )
    assert tx.connection.changes() == 1, f"{reservation_id} was not WAITING"
    tx.emit("reservation.held", reservation_id=reservation_id)


def end(tx: Transaction, reservation_id: str, reason: str) -> bool:
    """Give the claim back. False if it had ended already."""
    row = tx.execute(
        "UPDATE reservations SET state = 'ENDED', ended_at = ?, end_reason = ?"
        " WHERE reservation_id = ? AND state <> 'ENDED' RETURNING run_id, type",
        (tx.now, reason, reservation_id),
    ).fetchone()
    if row is None:
        return False
    run_id, type_ = row
    tx.emit(
        "reservation.ended",
        run_id=run_id,
        reservation_id=reservation_id,
        reason=reason,
        type=type_,
    )
    return True


def end_holds(tx: Transaction, reason: str) -> list[Reservation]:
    """Give back all that operators claimed, and return them in their order."""
    ended = [
        reservation_id
        for (reservation_id,) in tx.execute(
            "SELECT reservation_id FROM reservations"
            " WHERE state IN ('WAITING', 'HELD') AND kind = 'hold' ORDER BY position"
        ).fetchall()
        if end(tx, reservation_id, reason)
    ]
    return [find_reservation(tx.connection, reservation_id) for reservation_id in ended]


def end_expired(tx: Transaction) -> None:
    """Give back the slots whose time is over."""
    for (reservation_id,) in tx.execute(
        "SELECT reservation_id FROM reservations WHERE state = 'HELD' AND expires_at <= ?",
        (tx.now,),
    ).fetchall():
        end(tx, reservation_id, "expired")


def next_expiry(connection: apsw.Connection) -> int | None:
    """When (µs) the next held slot is given back by itself."""
    moment = connection.execute("SELECT min(expires_at) FROM reservations WHERE state = 'HELD'").get
    assert moment is None or isinstance(moment, int)
    return moment


def end_direct(tx: Transaction, reason: str, *, except_server_id: str | None = None) -> None:
    """End the direct claims that wait; those of `except_server_id`'s life may stay."""
    for (reservation_id,) in tx.execute(
        "SELECT reservation_id FROM reservations"
        " WHERE state = 'WAITING' AND kind = 'direct' AND server_id IS NOT ?",
        (except_server_id,),
    ).fetchall():
        end(tx, reservation_id, reason)


def _from_row(row: tuple[Any, ...]) -> Reservation:
    (
        reservation_id, kind, state, run_id, ttl_s, created_at, held_at, expires_at, ended_at,
        end_reason,
    ) = row  # fmt: skip
    return Reservation.model_construct(
        reservation_id=reservation_id,
        kind=kind,
        state=state,
        run_id=run_id,
        ttl_s=ttl_s,
        created_at=from_us(created_at),
        held_at=None if held_at is None else from_us(held_at),
        expires_at=None if expires_at is None else from_us(expires_at),
        ended_at=None if ended_at is None else from_us(ended_at),
        end_reason=end_reason,
    )
