"""The scheduler's own state: running, draining, and another configuration."""

from typing import Any

import outcome
import pytest
from pydantic_core import from_json

from actors import messages as m
from headway.model.job import JobStatus
from storage.errors import StorageFailed
from tests.actors.desk import Desk, Q, replaced, started, submission


def test_a_draining_server_starts_nothing_but_takes_jobs(desk: Desk) -> None:
    desk.submit("a", "a")
    reserved = desk.direct()
    desk.ask(m.Drain())
    desk.finish()
    (job,) = desk.submit("a")
    assert desk.running() == []
    assert desk.job(job).status is Q
    assert desk.refusal(m.StartDirect(type="a", params={})) == "shutting_down"
    assert desk.refusal(m.TriggerJob(type="a", params={})) == "shutting_down"
    reason = desk.connection.execute(
        "SELECT end_reason FROM reservations WHERE reservation_id = ?", (reserved.reservation_id,)
    ).get
    assert reason == "the server is shutting down"


def test_the_operators_word_outlives_the_server(desk: Desk) -> None:
    desk.ask(m.StopScheduler())
    desk.submit("a")
    desk.core = desk.make_core("srv-2")
    assert desk.core.recover(desk.connection, desk.now).effects == []


def test_another_setup_holds_from_its_message_on(make_desk: Any) -> None:
    desk = make_desk(concurrency=1)
    desk.submit("a", "b")
    desk.concurrency = 2
    before, asked, after = (
        submission("a"),
        replaced(desk.setup(max_queued=2), "slots"),
        submission("b"),
    )
    decision = desk.decide(before, asked, after)
    assert started(decision) == ["b"], "the new slot is used in the same transaction"
    assert decision.answers[1].unwrap().concurrency == 2
    assert isinstance(decision.answers[2], outcome.Error), "the queue is shorter now"
    (event,) = [event for event in decision.events if event.kind == "server.reloaded"]
    limits = {name: type_.concurrency for name, type_ in desk.types.items()}
    assert from_json(event.data) == {"concurrency": 2, "types": limits, "changed": ["slots"]}


def test_what_was_set_over_http_goes_before_another_setup(make_desk: Any) -> None:
    desk = make_desk(concurrency=1)
    desk.ask(m.ConfigureScheduler(set_concurrency=True, concurrency=1, types={}))
    desk.concurrency = 3
    config = desk.ask(replaced(desk.setup()))
    assert (config.concurrency, config.overridden) == (1, ["concurrency"])
    reset = m.ConfigureScheduler(set_concurrency=True, concurrency=None, types={})
    assert desk.ask(reset).concurrency == 3


def test_a_setup_that_was_not_committed_does_not_hold(make_desk: Any) -> None:
    desk = make_desk(concurrency=1)
    desk.submit("a", "a")
    before, desk.concurrency = desk.core.setup, 2
    with pytest.raises(StorageFailed):
        desk.decide(replaced(desk.setup("b")), m.StorageBroke(why="a test"))
    assert desk.core.setup is before
    assert started(desk.decide(m.TimerFired())) == []
    assert started(desk.decide(replaced(desk.setup("b")))) == ["a"]


def test_jobs_of_a_type_that_is_gone_wait_for_its_return(desk: Any) -> None:
    desk.ask(m.StopScheduler())
    (gone, other) = desk.submit({"type": "b", "priority": 9}, "a")
    desk.ask(replaced(desk.setup("b"), "job_types.b"))
    assert started(desk.decide(m.StartScheduler())) == ["a"]
    desk.finish()
    assert (desk.job(gone).status, desk.job(other).status) == (Q, JobStatus.COMPLETED)
    decision = desk.decide(replaced(desk.setup(), "job_types.b"))
    assert started(decision) == ["b"]
    assert decision.effects[0].job_type is desk.types["b"]


def test_a_type_that_is_gone_starts_nothing(desk: Desk) -> None:
    (ended,) = desk.submit("b")
    desk.finish()
    desk.ask(replaced(desk.setup("b")))
    assert desk.refusal(m.RetryJob(job_id=ended.job_id)) == "unknown_type"
    assert desk.refusal(m.TriggerJob(type="b", params={})) == "unknown_type"
    assert desk.refusal(m.StartDirect(type="b", params={})) == "unknown_type"
