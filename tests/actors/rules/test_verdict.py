"""The status of a run: from what was seen of its end, and why it was ended."""

from dataclasses import replace
from typing import Any

import pytest

from actors.rules.verdict import judge
from headway.model.run import RunError, RunStatus
from storage.runs import Outcome
from tests.actors.desk import (
    SEEN,
)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        ("cancel", RunStatus.CANCELLED, None),
        ("timeout", RunStatus.FAILED, "timeout"),
        ("output_limit", RunStatus.FAILED, "output_limit"),
        ("shutdown", RunStatus.FAILED, "interrupted"),
    ],
)
def test_who_ended_it_decides_what_it_ends_as(
    seen: Outcome, reason: Any, status: RunStatus, code: str | None
) -> None:
    ended = judge(replace(seen, signalled=True), reason)
    assert (ended.status, ended.error and ended.error.code) == (status, code)
    assert (ended.exit_code, ended.signal) == (seen.exit_code, seen.signal)
    unseen = Outcome(status=RunStatus.FAILED, error=RunError(code="interrupted", message="lost"))
    assert judge(unseen, reason).status is status, "no end is on record"


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("reason", ["cancel", "timeout", "output_limit", "shutdown"])
def test_an_end_on_record_takes_precedence_over_a_reason_to_end_it(
    seen: Outcome, reason: Any
) -> None:
    """It had come to its own end before it was sent any signal."""
    assert judge(seen, reason) is seen


@pytest.mark.parametrize("seen", SEEN)
def test_what_ended_by_itself_is_what_was_seen(seen: Outcome) -> None:
    assert judge(seen, None) is seen
