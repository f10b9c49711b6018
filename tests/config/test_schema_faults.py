"""What is wrong with large values: found without showing a validator all of them at once."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.parameter import FAULTS_MAX, Trouble, advice, compile_schema
from config.schema_faults import VALUES_MAX, count_values, faults_in
from tests.config.test_job_type import ANY_JSON, faults, job_type


class Watched:
    """A validator that notes how many values it was asked to explain at once, at most."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.real = compile_schema(schema)
        self.most = 0

    def iter_errors(self, value: Any) -> Iterator[jsonschema_rs.ValidationError]:
        self.most = max(self.most, count_values(value, 10**9))
        return self.real.iter_errors(value)

    def is_valid(self, value: Any) -> bool:
        return self.real.is_valid(value)

    def faults(self, value: Any) -> list[Trouble]:
        return list(faults_in(value, self.schema, self))  # type: ignore[arg-type]


STRINGS = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 20_000}


@given(ANY_JSON, st.integers(min_value=1, max_value=40))
def test_values_are_counted(value: Any, most: int) -> None:
    def count(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value
        return 1 + (sum(map(count, inner)) if isinstance(value, dict | list) else 0)

    counted = count_values(value, most)
    assert counted == count(value) if counted <= most else count(value) > most


@pytest.mark.parametrize("wrong", [0, 499, 500, 501, 7_777, 19_999])
def test_one_wrong_item_of_many_is_found(wrong: int) -> None:
    validator = Watched(STRINGS)
    value: list[Any] = ["x"] * 20_000
    value[wrong] = 1
    assert validator.faults(value) == [((wrong,), "give a string")]
    assert validator.most <= VALUES_MAX + 1


def test_the_first_part_with_faults_is_enough() -> None:
    validator = Watched(STRINGS)
    found = validator.faults([1] * 1_000_000)
    assert found[0] == ((), "give at most 20000 items")
    assert found[1:] == [((index,), "give a string") for index in range(VALUES_MAX)]
    assert validator.most <= VALUES_MAX + 1


def test_one_wrong_value_of_a_large_object_is_found() -> None:
    validator = Watched({"required": ["k1", "k5000"], "additionalProperties": {"type": "integer"}})
    value = {f"k{n}": n if n != 4_321 else "x" for n in range(5_000)}
    found = validator.faults(value)
    assert found == [(("k5000",), "give it: it is required"), (("k4321",), "give an integer")]
    assert validator.most <= VALUES_MAX + 1


def test_unknown_names_in_a_large_object_are_found() -> None:
    validator = Watched({"properties": {"a": {}}, "additionalProperties": False})
    found = validator.faults({f"k{n}": n for n in range(5_000)})
    assert found[0] == (("k0",), "remove it: there is no such name")
    assert validator.most <= VALUES_MAX + 1


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"items": {"type": "null"}}}, [[None] * 1_000 + [1]]),
        ({"contains": {"const": 1}}, [0] * 1_000),
        ({"properties": {"a": {"maxItems": 3}}}, {"a": [0] * 1_000}),
    ],
)
def test_what_is_too_large_to_say_where_is_wrong_all_the_same(schema: Any, value: Any) -> None:
    validator = Watched(schema)
    ((path, message),) = validator.faults(value)
    assert path == ()
    assert "too large to say where" in message
    assert validator.most <= VALUES_MAX + 1


def test_a_large_value_that_fits_has_no_fault() -> None:
    assert Watched({"items": {"type": "integer"}}).faults([0] * 10_000) == []


@given(ANY_JSON)
def test_of_a_small_value_every_fault_is_told(value: Any) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}}
    validator = compile_schema(schema)
    try:
        expected = [trouble for error in validator.iter_errors(value) for trouble in advice(error)]
    except ValueError:
        return  # it is not JSON as headway carries it, and never comes so far
    assert list(faults_in(value, schema, validator)) == expected


def test_the_faults_of_a_job_type_are_bounded() -> None:
    job = job_type(
        params={name: {"items": {"type": "null"}, "arg": f"--{name}"} for name in "abc"},
        required=["a"],
    )
    found = faults(job, {"b": [1] * 50_000, **{f"n{n}": 1 for n in range(50_000)}})
    assert len(found) == FAULTS_MAX
    assert found["/params/a"] == "give it: it is required"
