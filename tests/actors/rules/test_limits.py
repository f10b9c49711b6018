"""What clients may claim at once: each limit refuses the one too many, and leaves nothing of it."""

from typing import Any

import pytest

from actors import messages as m
from storage.reservations import open_reservations
from tests.actors.desk import Desk


def limited(desk: Desk, **limits: Any) -> None:
    desk.core = desk.make_core(**limits)


def test_legacy_triggers_run_at_once_up_to_their_limit(desk: Desk) -> None:
    limited(desk, max_triggered=2)
    trigger = m.TriggerJob(type="a", params={})
    for _ in range(2):
        desk.ask(trigger)
    before = desk.dump()
    assert desk.refusal(trigger) == "queue_full"
    assert desk.dump() == before
    desk.finish()
    assert desk.ask(trigger).status == "RUNNING"


def test_the_programs_of_triggers_count_with_the_queue(desk: Desk) -> None:
    desk.ask(m.StopScheduler())
    limited(desk, max_queued=3)
    desk.submit("a")
    for _ in range(2):
        desk.ask(m.TriggerJob(type="a", params={}))
    assert desk.refusal(m.TriggerJob(type="a", params={})) == "queue_full"
    assert len(desk.submit("a", "a")) == 2, "the queue itself has two places left"


def test_direct_runs_wait_up_to_their_limit(desk: Desk) -> None:
    limited(desk, max_direct=2)
    desk.submit("a")
    waiting = [desk.direct() for _ in range(2)]
    before = desk.dump()
    assert desk.refusal(m.StartDirect(type="b", params={})) == "queue_full"
    assert desk.dump() == before
    desk.decide(m.AbandonDirect(reserved=waiting[0]))
    desk.direct()
    desk.finish()
    assert desk.running()[0].run_id == waiting[1].run_id
    desk.direct()  # the one that runs now no longer waits


def test_reservations_are_made_up_to_their_limit(desk: Desk) -> None:
    limited(desk, max_reservations=2)
    first, second = desk.ask(m.Reserve(ttl_s=5)), desk.ask(m.Reserve(ttl_s=5))
    assert (first.state, second.state) == ("HELD", "WAITING")
    before = desk.dump()
    assert desk.refusal(m.Reserve(ttl_s=5)) == "rate_limited"
    assert desk.dump() == before
    desk.direct()  # is no reservation of an operator
    desk.ask(m.ReleaseReservation(reservation_id=second.reservation_id))
    desk.ask(m.Reserve(ttl_s=5))


@pytest.mark.parametrize("ttl_s", [60.000_001, 1e300])
def test_a_reservation_is_at_most_so_long(desk: Desk, ttl_s: float) -> None:
    limited(desk, max_reservation_s=60)
    assert desk.refusal(m.Reserve(ttl_s=ttl_s)) == "invalid"
    assert desk.ask(m.Reserve(ttl_s=60)).state == "HELD"


def test_one_message_releases_every_reservation_and_no_direct_run(desk: Desk) -> None:
    held, waiting = desk.ask(m.Reserve(ttl_s=5)), desk.ask(m.Reserve(ttl_s=5))
    reserved = desk.direct()
    desk.submit("a")
    released = desk.ask(m.ReleaseReservations())
    assert [one.reservation_id for one in released] == [held.reservation_id, waiting.reservation_id]
    assert {(one.state, one.end_reason) for one in released} == {("ENDED", "released")}
    assert open_reservations(desk.connection) == []
    assert [run.run_id for run in desk.running()] == [reserved.run_id]
    assert desk.ask(m.ReleaseReservations()) == []
