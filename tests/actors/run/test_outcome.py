"""What the record of a program's end means for its run."""

from typing import Any

import pytest

from actors.host.shim import ExitRecord
from actors.run.outcome import outcome_of
from tests.actors.house import code_of


@pytest.mark.parametrize(
    ("given", "killed", "status", "code", "exit_code", "number"),
    [
        ({"exit_code": 0}, False, "COMPLETED", None, 0, None),
        ({"exit_code": 77}, False, "SKIPPED", None, 77, None),
        ({"exit_code": 78}, False, "SKIPPED", None, 78, None),
        ({"exit_code": 1}, False, "FAILED", "exit_status", 1, None),
        ({"exit_code": 137}, False, "FAILED", "exit_status", 137, None),
        ({"signal": 11}, False, "FAILED", "signal", None, 11),
        ({"signal": 11}, True, "FAILED", "signal", None, 11),
        ({}, True, "FAILED", "signal", None, 9),
        ({}, False, "FAILED", "interrupted", None, None),
    ],
)
def test_what_an_end_means(
    given: Any, killed: bool, status: str, code: Any, exit_code: Any, number: Any
) -> None:
    ended = outcome_of(ExitRecord(pid=1, **given), (77, 78), killed=killed)
    assert (ended.status, code_of(ended)) == (status, code)
    assert (ended.exit_code, ended.signal) == (exit_code, number)
