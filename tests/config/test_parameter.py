"""One parameter: its schema is checked when it is defined, its values become whole slots."""

import datetime
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config.parameter import FAULTS_MAX, Parameter, inspect, nearest, pointer

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
UNHURRIED = settings(deadline=None)  # a loaded machine is slow, not wrong


def parameter(**table: Any) -> Parameter:
    return Parameter.model_validate(table)


def troubles(**table: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        parameter(**table)
    return {pointer(one["loc"]): one["msg"] for one in caught.value.errors()}


def unfit(value: Any) -> list[str]:
    found: list[Any] = []
    inspect(value, (), found)
    return [pointer(path) for path, _ in found]


def test_the_schema_of_the_value_leaves_out_how_it_reaches_the_program() -> None:
    made = parameter(arg="--n", secret=True, type="integer", minimum=1, description="how many")
    assert made.value_schema == {"type": "integer", "minimum": 1, "description": "how many"}


@pytest.mark.parametrize("arg", ["n", "", "-", "--", "---n", "--a b", "--a=b", "--a\0", "--a\n"])
def test_an_arg_that_is_no_flag_is_refused(arg: str) -> None:
    assert "/arg" in troubles(arg=arg)


@pytest.mark.parametrize("arg", ["--n", "--max-stories", "--길이"])
def test_an_arg_that_is_a_flag_is_taken(arg: str) -> None:
    assert parameter(arg=arg).options("1") == [f"{arg}=1"]


@pytest.mark.parametrize(
    ("table", "place", "said"),
    [
        ({"type": "intger"}, "/type", "integer"),
        ({"maxLenght": 3}, "/maxLenght", 'did you mean "maxLength"?'),
        ({"items": {"maxLenght": 3}}, "/items/maxLenght", "maxLength"),
        ({"anyOf": [{}, {"minimun": 3}]}, "/anyOf/1/minimun", "minimum"),
        ({"minimum": "1"}, "/minimum", "give a number"),
        ({"minLength": -1}, "/minLength", "give 0 or more"),
        ({"pattern": "("}, "/pattern", "regular expression"),
        ({"pattern": "(?=a)b"}, "/pattern", "look-around"),
        ({"format": "emial"}, "/format", "email"),
        ({"$ref": "#/x"}, "/$ref", "remove it"),
        ({"const": datetime.date(2030, 1, 1)}, "/const", "give text"),
        ({"type": "integer", "default": "a"}, "/default", "give an integer"),
        ({"items": {"type": "null"}, "default": [None, 1]}, "/default/1", "give null"),
        ({"default": "\0"}, "/default", "NUL"),
        ({"secret": True, "default": "x"}, "/default", "secret"),
        ({"secret": True, "enum": ["x"]}, "/enum", "secret"),
    ],
)
def test_a_schema_that_would_not_do_what_it_says_is_refused(
    table: dict[str, Any], place: str, said: str
) -> None:
    found = troubles(arg="--x", **table)
    assert list(found) == [place]
    assert said in found[place]


def test_the_keywords_beside_a_wrong_one_are_not_blamed() -> None:
    assert list(troubles(arg="--x", type="integer", minimum=1, maximum="a")) == ["/maximum"]


def test_every_fault_of_a_parameter_is_told_at_once() -> None:
    assert set(troubles(arg="x", type="sring", minimum="a", colour=1)) == {
        "/arg",
        "/type",
        "/minimum",
        "/colour",
    }


def test_keywords_of_ones_own_begin_with_x() -> None:
    assert parameter(arg="--x", **{"x-widget": "slider"}).value_schema == {"x-widget": "slider"}


@pytest.mark.parametrize(
    ("value", "options", "texts"),
    [
        (None, [], []),
        (True, ["--x"], ["true"]),
        (False, [], ["false"]),
        ("", ["--x="], [""]),
        ("--help", ["--x=--help"], ["--help"]),
        (3, ["--x=3"], ["3"]),
        (-2.5, ["--x=-2.5"], ["-2.5"]),
        (1e300, ["--x=1e+300"], ["1e+300"]),
        ([], [], []),
        (["a b", "-c"], ["--x=a b", "--x=-c"], ["a b", "-c"]),
        ([True, None, [1]], ["--x=true", "--x=null", "--x=[1]"], ["true", "null", "[1]"]),
        ({"a": ["숲", 1]}, ['--x={"a":["숲",1]}'], ['{"a":["숲",1]}']),
    ],
)
def test_the_slots_of_a_value(value: Any, options: list[str], texts: list[str]) -> None:
    made = parameter(arg="--x")
    assert made.options(value) == options
    assert made.texts(value) == texts


@UNHURRIED
@given(TEXT)
def test_text_is_one_slot_from_which_it_can_be_read_back(text: str) -> None:
    made = parameter(arg="--x")
    assert made.options(text) == ["--x=" + text]
    assert made.texts(text) == [text]


@UNHURRIED
@given(JSON)
def test_all_else_is_json_from_which_it_can_be_read_back(value: Any) -> None:
    slots = parameter(arg="--x").options([value])
    assert len(slots) == 1
    head, _, text = slots[0].partition("=")
    assert head == "--x"
    assert text == value if isinstance(value, str) else json.loads(text) == value


@UNHURRIED
@given(JSON)
def test_json_is_fit(value: Any) -> None:
    assert unfit(value) == []


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ("a\0", [""]),
        ("\ud800", [""]),
        ("가\0", [""]),
        (2**63, [""]),
        (-(2**63), [""]),
        (float("nan"), [""]),
        (float("-inf"), [""]),
        ((1,), [""]),
        (b"", [""]),
        ({"a": ["\0", 1, float("inf")], "b/~": "\ud800"}, ["/a/0", "/a/2", "/b~1~0"]),
        ({"\0": 1, "\ud800": 1, 3: 1}, ["/\0", "/?", "/3"]),
    ],
)
def test_what_is_not_json_is_unfit(value: Any, places: list[str]) -> None:
    assert unfit(value) == places


def test_deep_nesting_is_unfit_and_does_not_exhaust_the_stack() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    assert unfit({"x": value}) == ["/x"]


def test_so_many_faults_and_no_more() -> None:
    assert len(unfit(["\0"] * 10_000)) == FAULTS_MAX
    assert len(unfit({str(number): "\0" for number in range(10_000)})) == FAULTS_MAX


def test_a_pointer_is_bounded_and_can_be_encoded() -> None:
    assert len(pointer(("x" * 100_000,)).encode()) < 1000
    assert pointer(("\ud800",)).encode() == b"/?"


def test_the_nearest_name() -> None:
    assert nearest("topics", ["topic", "seed"]) == '; did you mean "topic"?'
    assert nearest("zzz", ["topic", "seed"]) == "; there are topic, seed"
    assert nearest("zzz", []) == ""
