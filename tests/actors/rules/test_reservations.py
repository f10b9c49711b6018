"""Reservations and direct runs that lose their client or their type."""

from typing import Any

from actors import messages as m
from tests.actors.desk import Desk, exited, replaced, started


def test_the_direct_clients_of_an_earlier_life_are_gone(make_desk: Any) -> None:
    desk = make_desk(concurrency=1)
    running, waiting = desk.direct(), desk.direct()
    hold = desk.ask(m.Reserve(ttl_s=60))
    desk.core = desk.make_core("srv-2")
    (effect,) = desk.core.recover(desk.connection, desk.now).effects
    assert (effect.intent.run_id, effect.intent.stop_reason) == (running.run_id, "cancel")
    desk.decide(exited(running.run_id))
    assert desk.running() == []
    states = dict(desk.connection.execute("SELECT reservation_id, state FROM reservations"))
    assert states[waiting.reservation_id] == "ENDED"
    assert states[hold.reservation_id] == "HELD"


def test_a_direct_run_of_a_type_that_is_gone_gives_its_turn_up(desk: Desk) -> None:
    desk.submit("a", "a")
    gone, stays = desk.direct("b"), desk.direct("one")
    desk.ask(replaced(desk.setup("b")))
    assert desk.reservation(gone.reservation_id).end_reason == "b is no longer configured"
    assert desk.reservation(stays.reservation_id).state == "WAITING"
    assert started(desk.decide(exited(desk.running()[0].run_id))) == ["one"]
