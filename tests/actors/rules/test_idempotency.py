"""A message that is repeated with its key."""

from typing import Any

from actors import messages as m
from headway.model.run import RunError, RunStatus
from storage.idempotency import Key
from storage.runs import Outcome
from tests.actors.desk import Desk, submission


def test_the_same_key_gets_the_first_answer_again(desk: Desk) -> None:
    key = Key(key="k", request=b"1")
    first, second = desk.decide(submission("a", key=key), submission("a", key=key)).answers
    first, second = first.unwrap(), second.unwrap()
    assert (first.replayed, second.replayed) == (False, True)
    assert second.response == first.response
    assert second.location == f"/jobs/{first.jobs[0].job_id}"
    assert desk.connection.execute("SELECT count(*) FROM jobs").get == 1
    other = submission("a", key=Key(key="k", request=b"2"))
    assert desk.refusal(other) == "idempotency_mismatch"


def test_a_replay_is_answered_also_when_the_queue_is_full(desk: Desk) -> None:
    desk.core = desk.make_core(max_queued=1)
    desk.submit("a")  # runs
    key = Key(key="k", request=b"1")
    desk.ask(submission("a", key=key))
    assert desk.refusal(submission("a")) == "queue_full"
    assert desk.ask(submission("a", key=key)).replayed


def test_a_refused_submission_keeps_its_key_free(desk: Desk) -> None:
    desk.core = desk.make_core(max_queued=1)
    key = Key(key="k", request=b"1")
    assert desk.refusal(submission("a", "a", key=key)) == "queue_full"
    assert not desk.ask(submission("a", key=Key(key="k", request=b"2"))).replayed


def test_a_refusal_does_not_count_once_it_was_asked_again(desk: Any) -> None:
    """The run may have begun since: what an earlier life asked for was answered too late."""
    desk.submit("a")
    (run,) = desk.running()
    refused = Outcome(status=RunStatus.FAILED, error=RunError(code="spawn", message="no"))
    asked = desk.core.recover(desk.connection, desk.now).effects[0].life
    desk.decide(m.RunExited(run_id=run.run_id, outcome=refused, refused_in=asked - 1))
    assert [left.run_id for left in desk.running()] == [run.run_id]
    desk.decide(m.RunExited(run_id=run.run_id, outcome=refused, refused_in=asked))
    assert desk.running() == []
