"""Reservations in SQL: first come, first served, and each ends once."""

from typing import Any

import apsw
import pytest

from headway.model.field import from_us
from headway.model.problem import Refusal
from storage import reservations
from storage.reservations import WaitingDirectRun, WaitingReservation, find_reservation
from storage.transaction import Transaction

S = 1_000_000


def hold(tx: Transaction, reservation_id: str, ttl_s: float = 60.0) -> None:
    reservations.insert_hold(tx, reservation_id, ttl_s=ttl_s, server_id="srv-1")


def direct(tx: Transaction, reservation_id: str, server_id: str = "srv-1") -> None:
    run_id = reservation_id.replace("rsv", "run")
    reservations.insert_direct(
        tx, reservation_id, run_id=run_id, type="story", params={"a": 1}, server_id=server_id
    )


def test_claims_wait_in_the_order_in_which_they_came(write: Any, now: int) -> None:
    with write() as tx:
        assert reservations.first_waiting(tx) is None
        direct(tx, "rsv-2")
        hold(tx, "rsv-1")
        wanted = WaitingDirectRun(run_id="run-2", type="story", params={"a": 1})
        first = WaitingReservation(reservation_id="rsv-2", created_at=now, direct=wanted)
        assert reservations.first_waiting(tx) == first
        reservations.end(tx, "rsv-2", "started")
        second = WaitingReservation(reservation_id="rsv-1", created_at=now, direct=None)
        assert reservations.first_waiting(tx) == second


def test_the_time_of_a_hold_begins_when_it_is_held(
    connection: apsw.Connection, write: Any, now: int
) -> None:
    with write() as tx:
        hold(tx, "rsv-1", ttl_s=1.5)
        assert reservations.next_expiry(tx.connection) is None
    with write(now + 10 * S) as tx:
        reservations.hold(tx, "rsv-1")
        assert reservations.next_expiry(tx.connection) == now + 10 * S + 3 * S // 2
    found = find_reservation(connection, "rsv-1")
    assert (found.state, found.held_at) == ("HELD", from_us(now + 10 * S))
    assert found.expires_at == from_us(now + 10 * S + 3 * S // 2)


def test_a_slot_is_held_once(write: Any) -> None:
    with write() as tx:
        hold(tx, "rsv-1")
        reservations.hold(tx, "rsv-1")
        with pytest.raises(AssertionError, match="was not WAITING"):
            reservations.hold(tx, "rsv-1")


@pytest.mark.parametrize("held", [False, True])
def test_a_reservation_ends_once(connection: apsw.Connection, write: Any, held: bool) -> None:
    with write() as tx:
        hold(tx, "rsv-1")
        if held:
            reservations.hold(tx, "rsv-1")
        assert reservations.end(tx, "rsv-1", "released")
        events = len(tx.events)
        assert not reservations.end(tx, "rsv-1", "expired")
        assert len(tx.events) == events
    found = find_reservation(connection, "rsv-1")
    assert (found.state, found.end_reason) == ("ENDED", "released")


def test_a_slot_whose_time_is_over_is_given_back(
    connection: apsw.Connection, write: Any, now: int
) -> None:
    with write() as tx:
        for name in ("rsv-1", "rsv-2", "rsv-waiting"):
            hold(tx, name, ttl_s=1 if name == "rsv-1" else 2)
        reservations.hold(tx, "rsv-1")
        reservations.hold(tx, "rsv-2")
        assert reservations.count_held(connection) == 2
    with write(now + S - 1) as tx:
        reservations.end_expired(tx)
        assert tx.events == []
    with write(now + S) as tx:
        reservations.end_expired(tx)
    assert find_reservation(connection, "rsv-1").end_reason == "expired"
    assert reservations.count_held(connection) == 1
    left = [one.reservation_id for one in reservations.open_reservations(connection)]
    assert left == ["rsv-2", "rsv-waiting"]


def test_direct_claims_end_with_the_life_that_made_them(
    connection: apsw.Connection, write: Any
) -> None:
    with write() as tx:
        direct(tx, "rsv-1", server_id="srv-old")
        direct(tx, "rsv-2", server_id="srv-new")
        hold(tx, "rsv-3")
        reservations.end_direct(tx, "the server restarted", except_server_id="srv-new")
    assert [one.reservation_id for one in reservations.open_reservations(connection)] == [
        "rsv-2",
        "rsv-3",
    ]
    with write() as tx:
        reservations.end_direct(tx, "the server is shutting down")
        assert reservations.any_open(connection)
        reservations.end(tx, "rsv-3", "released")
    assert not reservations.any_open(connection)


def test_a_reservation_that_is_not_there(connection: apsw.Connection) -> None:
    with pytest.raises(Refusal) as caught:
        find_reservation(connection, "rsv-none")
    assert caught.value.code == "not_found"
