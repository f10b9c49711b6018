"""The words of a refusal: what to do, and nothing of what headway is made of."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from headway.model.job import NewJob
from headway.model.problem import CODES, FAULTS_MAX, STATUS, Fault, Refusal
from web.api.problem import FEW, checked, problem_of, refusal_of


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
def test_a_fault_has_its_place_and_advice(given: object, pointer: str, advice: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(NewJob).validate_python(given)
    (fault,) = refusal_of(caught.value).faults
    assert fault.pointer == pointer
    assert advice in fault.message
    assert "NewJob" not in fault.message
    assert "dictionary" not in fault.message


def refusal(given: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        checked(TypeAdapter(NewJob), given, at="/here")
    assert caught.value.code == "invalid"
    return caught.value


def test_of_a_few_faults_each_is_named() -> None:
    given = {f"k{n}": n for n in range(90)} | {"type": 1}
    assert len(refusal(given).faults) == 91


def test_of_many_faults_the_first_are_named() -> None:
    found = refusal({**{f"k{n}": n for n in range(20_000)}, "type": "a"})
    assert [fault.pointer for fault in found.faults] == [f"/here/k{n}" for n in range(FEW)]


def test_what_stands_behind_the_first_is_not_called_missing() -> None:
    given = {"labels": {f"bad key {n}": "" for n in range(20_000)}, "priority": -1}
    found = refusal({**given, **{f"k{n}": n for n in range(20_000)}, "type": "a"})
    assert {"/here/priority", "/here/labels/bad key 0", "/here/k0"} < {
        fault.pointer for fault in found.faults
    }
    assert "/here/type" not in {fault.pointer for fault in found.faults}
    assert len(found.faults) <= FAULTS_MAX


def test_what_is_wrong_behind_the_first_is_refused_too() -> None:
    adapter = TypeAdapter(list[int])
    with pytest.raises(Refusal) as caught:
        checked(adapter, [1] * FEW + ["x"] * 1_000, at="/here")
    assert [fault.pointer for fault in caught.value.faults] == ["/here"]


def test_a_problem_names_a_bounded_number_of_faults() -> None:
    faults = tuple(Fault(f"/{n}", "wrong") for n in range(1_000))
    _, body, _ = problem_of(Refusal("invalid", "no", faults))
    assert body.count(b'"pointer"') == FAULTS_MAX


def test_every_code_has_a_status_and_a_problem() -> None:
    assert set(STATUS) == set(CODES)
    for code in STATUS:
        status, body, headers = problem_of(Refusal(code, "why"))
        assert 400 <= status < 600
        assert f'"code":"{code}"'.encode() in body
        assert headers["Content-Type"] == "application/problem+json"


def test_a_problem_can_be_sent_whatever_it_holds() -> None:
    status, body, _ = problem_of(Refusal("not_found", "no \udc80", (Fault("/\ud800", "x"),)))
    assert status == 404
    assert json.loads(body)["code"] == "not_found"
