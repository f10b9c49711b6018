"""The words of a refusal: what to do, and nothing of what headway is made of."""

import pytest
from pydantic import TypeAdapter, ValidationError

from storage.errors import CODES, Refusal
from storage.job import NewJob
from web.errors import STATUS, problem_of, refusal_of


@pytest.mark.parametrize(
    ("given", "pointer", "advice"),
    [
        ([], "", "give a JSON object"),
        ({}, "/type", "this field is required"),
        ({"type": "a", "colour": 1}, "/colour", "there is no such field: leave it out"),
        ({"type": 5}, "/type", "give a string"),
        ({"type": "a", "params": []}, "/params", "give a JSON object"),
        ({"type": "a", "run_at": "tomorrow"}, "/run_at", "give an RFC 3339 date and time"),
        ({"type": "a", "run_at": "2031-05-01T08:00:00"}, "/run_at", "with its offset"),
        ({"type": "a", "labels": {"a b": "c"}}, "/labels/a b", "String should match pattern"),
    ],
)
def test_a_fault_says_where_it_is_and_what_to_do(given: object, pointer: str, advice: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(NewJob).validate_python(given)
    (fault,) = refusal_of(caught.value).faults
    assert fault.pointer == pointer
    assert advice in fault.message
    assert "NewJob" not in fault.message
    assert "dictionary" not in fault.message


def test_every_code_has_a_status_and_a_problem() -> None:
    assert set(STATUS) == set(CODES)
    for code in STATUS:
        status, body, headers = problem_of(Refusal(code, "why"))
        assert 400 <= status < 600
        assert f'"code":"{code}"'.encode() in body
        assert headers["Content-Type"] == "application/problem+json"
