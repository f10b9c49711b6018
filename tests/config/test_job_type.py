"""Job types: what they accept can be spawned, and no value changes what is run."""

import json
import sys
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config.job_type import JobType
from config.parameter import FAULTS_MAX, pointer
from config.slots import STDIN_BYTES_MAX
from headway.model.field import MAX_INT
from headway.model.problem import Fault, Refusal

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
# What a careless program or shell would take for something else.
NASTY = st.sampled_from(
    ["--help", "-x", "--", "-", "=", "--topic=z", "a b", "$(id)", "`id`", "a;b", "*", "\n", "'\""]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
UNHURRIED = settings(deadline=None)  # a loaded machine is slow, not wrong


def job_type(**table: Any) -> JobType:
    return JobType.model_validate({"name": "test", "command": ["prog"], **table})


def story(**table: Any) -> JobType:
    params = {
        "max_stories": {
            "type": "integer",
            "minimum": 1,
            "maximum": 200,
            "default": 1,
            "arg": "--max-stories",
        },
        "enable_dedup": {"type": "boolean", "default": False, "arg": "--enable-dedup"},
        "topic": {"type": "string", "maxLength": 200, "positional": True},
        "model": {"type": "string", "arg": "--model"},
    }
    return job_type(params=params, **table)


def faults(job: JobType, params: dict[Any, Any], at: str = "/params") -> dict[str, str]:
    with pytest.raises(Refusal) as caught:
        job.accept(params, at)
    assert caught.value.code == "invalid"
    return {fault.pointer: fault.message for fault in caught.value.faults}


def troubles(**table: Any) -> dict[str, str]:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # what a caller may rely on
        job_type(**table)
    assert isinstance(caught.value, ValidationError)
    return {pointer(one["loc"]): one["msg"] for one in caught.value.errors()}


# What is accepted


def test_defaults_are_filled_in_and_the_callers_params_left_alone() -> None:
    given_params = {"topic": "어두운 숲"}
    accepted = story().accept(given_params)
    assert accepted == {"max_stories": 1, "enable_dedup": False, "topic": "어두운 숲"}
    assert given_params == {"topic": "어두운 숲"}


def test_every_fault_is_told_at_once_with_its_pointer_and_what_to_do() -> None:
    found = faults(story(), {"max_stories": 0, "topics": "a", "topic": 5, "model": "\0"})
    assert found == {
        "/params/model": "remove the NUL character: no argument can hold it",
        "/params/max_stories": "give 1 or more",
        "/params/topic": "give a string",
        "/params/topics": 'remove it: there is no such name; did you mean "topic"?',
    }


def test_pointers_begin_where_the_caller_says() -> None:
    assert list(faults(story(), {"topic": 1}, at="/jobs/3/params")) == ["/jobs/3/params/topic"]
    assert list(faults(story(), {"topic": 1}, at="")) == ["/topic"]


def test_a_required_parameter_must_be_there_unless_it_has_a_default() -> None:
    job = job_type(
        params={"a": {"arg": "--a"}, "b": {"arg": "--b", "default": 1}}, required=["a", "b"]
    )
    assert faults(job, {}) == {"/params/a": "give it: it is required"}
    assert job.accept({"a": None}) == {"a": None, "b": 1}


def test_an_unfit_value_is_not_also_called_missing() -> None:
    job = job_type(params={"a": {"arg": "--a"}}, required=["a"])
    assert faults(job, {"a": "\ud800"})["/params/a"].startswith("remove the lone surrogate")


def test_a_whole_number_becomes_an_integer_where_integers_are_asked_for() -> None:
    job = job_type(
        params={
            "n": {"type": "integer", "arg": "--n"},
            "m": {"type": ["null", "integer"], "arg": "--m"},
            "l": {"type": "array", "items": {"type": "integer"}, "arg": "--l"},
            "x": {"type": "number", "arg": "--x"},
        }
    )
    accepted = job.accept({"n": 3.0, "m": 4.0, "l": [1.0, 2], "x": 3.0})
    assert job.argv(accepted) == ["prog", "--n=3", "--m=4", "--l=1", "--l=2", "--x=3.0"]
    assert list(faults(job, {"n": 3.5, "l": [1, 2.5]})) == ["/params/n", "/params/l/1"]
    assert list(faults(job, {"n": 1e300})) == ["/params/n"]


@pytest.mark.parametrize(
    "value", [True, "1", None, [], 2**63, pytest.param(10**5000, id="10**5000"), float("nan")]
)
def test_what_is_no_integer_is_refused(value: Any) -> None:
    assert list(
        faults(job_type(params={"n": {"type": "integer", "arg": "--n"}}), {"n": value})
    ) == ["/params/n"]


def test_the_largest_integer_is_accepted() -> None:
    job = job_type(params={"n": {"type": "integer", "arg": "--n"}})
    assert job.argv(job.accept({"n": MAX_INT})) == ["prog", f"--n={MAX_INT}"]


def test_a_refusal_never_repeats_a_value() -> None:
    job = job_type(
        params={
            "key": {"type": "string", "maxLength": 3, "pattern": "^a", "arg": "--key"},
            "mode": {"anyOf": [{"const": "a"}, {"type": "null"}], "arg": "--mode"},
            "word": {"enum": ["a"], "arg": "--word"},
        }
    )
    found = faults(job, {"key": "hunter2", "mode": "hunter2", "word": "hunter2"})
    assert set(found) == {"/params/key", "/params/mode", "/params/word"}
    assert "hunter2" not in " ".join(found.values())


def test_faults_are_bounded() -> None:
    job = job_type(params={"l": {"items": {"type": "null"}, "arg": "--l"}})
    assert len(faults(job, {"l": [1] * 10_000})) == FAULTS_MAX
    assert len(faults(job, {str(number): 1 for number in range(10_000)})) == FAULTS_MAX


def test_a_pattern_cannot_hold_up_the_server() -> None:
    job = job_type(params={"a": {"pattern": "^(a+)+$", "arg": "--a"}})
    assert faults(job, {"a": "a" * 50_000 + "!"}) == {"/params/a": "give text that matches ^(a+)+$"}


@UNHURRIED
@given(st.dictionaries(st.text(), ANY_JSON, max_size=3), ANY_JSON, ANY_JSON, ANY_JSON)
def test_whatever_is_sent_is_refused_or_can_be_spawned(
    more: dict[str, Any], one: Any, other: Any, last: Any
) -> None:
    job = job_type(
        params={
            "one": {"arg": "--one"},
            "other": {"arg": "--other", "type": ["array", "string", "object"]},
            "last": {"positional": True},
        }
    )
    params = {**more, "one": one, "other": other, "last": last}
    refused: tuple[Fault, ...] = ()
    accepted: dict[str, Any] | None = None
    try:
        accepted = job.accept(params)
    except Refusal as refusal:
        refused = refusal.faults
    assert (accepted is None) == bool(refused)
    for fault in refused:
        assert fault.pointer.startswith("/params/")
        json.dumps([fault.pointer, fault.message], ensure_ascii=False).encode()
    for slot in job.argv(accepted or {}):
        assert b"\0" not in slot.encode()
    json.dumps(accepted, allow_nan=False, ensure_ascii=False).encode()


# The command line


def test_the_order_is_that_of_the_definition() -> None:
    job = story(command=["{python}", "-m", "x{python}"])
    accepted = job.accept({"topic": "t", "model": "m", "enable_dedup": True, "max_stories": 2})
    assert job.argv(accepted) == [
        *(sys.executable, "-m", f"x{sys.executable}"),
        *("--max-stories=2", "--enable-dedup", "--model=m", "--", "t"),
    ]
    assert job.stdin(accepted) is None


def test_without_a_positional_value_there_is_no_double_dash() -> None:
    assert story().argv(story().accept({})) == ["prog", "--max-stories=1"]
    assert story().argv({}) == ["prog"]


@UNHURRIED
@given(topic=TEXT | NASTY, model=TEXT | NASTY)
def test_text_never_leaves_its_slot(topic: str, model: str) -> None:
    assume(len(topic) <= 200)
    job = story()
    slots = job.argv(job.accept({"topic": topic, "model": model}))
    assert slots == ["prog", "--max-stories=1", "--model=" + model, "--", topic]


@UNHURRIED
@given(st.lists(TEXT | NASTY, max_size=5))
def test_an_array_repeats_the_flag_and_nothing_else(values: list[str]) -> None:
    job = job_type(params={"tag": {"type": "array", "arg": "--tag"}, "z": {"arg": "--z"}})
    slots = job.argv(job.accept({"tag": values, "z": "end"}))
    assert slots == ["prog", *("--tag=" + value for value in values), "--z=end"]


def test_an_argument_that_is_too_long_is_told_beside_the_other_faults() -> None:
    job = job_type(params={"x": {"arg": "--x"}, "n": {"type": "integer", "arg": "--n"}})
    assert set(faults(job, {"x": "a" * 200_000, "n": "a"})) == {"/params/x", "/params/n"}


# input = "json"


def test_json_goes_to_standard_input_and_nothing_to_the_command_line() -> None:
    job = job_type(
        input="json", params={"text": {"type": "string"}, "n": {"arg": "--n", "default": 1}}
    )
    accepted = job.accept({"text": "숲 --help"})
    assert job.argv(accepted) == ["prog"]
    assert json.loads(job.stdin(accepted) or b"") == {"n": 1, "text": "숲 --help"}


def test_json_may_be_long_but_not_endless() -> None:
    job = job_type(input="json", params={"text": {"type": "string"}})
    room = STDIN_BYTES_MAX - 1 - len('{"text":""}')
    assert len(job.stdin(job.accept({"text": "a" * room})) or b"") == STDIN_BYTES_MAX - 1
    assert list(faults(job, {"text": "a" * (room + 1)})) == ["/params"]
    assert list(faults(job, {"text": "\0"})) == ["/params/text"]


# Secrets and the environment


def test_secrets_are_shown_to_nobody() -> None:
    job = job_type(
        params={
            "token": {"type": "string", "arg": "--token", "secret": True},
            "keys": {"type": "array", "positional": True, "secret": True},
            "n": {"arg": "--n"},
        }
    )
    params = job.accept({"token": "hunter2", "keys": ["hunter2", "x"], "n": 1})
    assert job.argv(params) == ["prog", "--token=hunter2", "--n=1", "--", "hunter2", "x"]
    assert job.redact(params) == {"token": "***", "keys": "***", "n": 1}
    assert job.display_argv(params) == ["prog", "--token=***", "--n=1", "--", "***"]
    assert params["token"] == "hunter2"
    assert job.redact({"n": 1}) == {"n": 1}


def test_the_environment_is_clean() -> None:
    server = {"PATH": "/p", "HOME": "/h", "LANG": "ko_KR.UTF-8", "TZ": "Asia/Seoul", "KEY": "k"}
    assert job_type().environment(server) == {
        "PATH": "/p",
        "HOME": "/h",
        "LANG": "ko_KR.UTF-8",
        "TZ": "Asia/Seoul",
        "PYTHONUNBUFFERED": "1",
    }
    assert job_type().environment({}).keys() == {"PATH", "HOME", "LANG", "PYTHONUNBUFFERED"}


def test_env_passes_names_through_and_sets_values() -> None:
    server = {"KEY": "k", "PATH": "/p"}
    assert job_type(env=["KEY", "GONE"]).env == {"KEY": True, "GONE": True}
    assert job_type(env=["KEY", "GONE"]).environment(server)["KEY"] == "k"
    assert "GONE" not in job_type(env=["KEY", "GONE"]).environment(server)
    made = job_type(env={"KEY": True, "MODE": "x", "PATH": "/only"}).environment(server)
    assert (made["KEY"], made["MODE"], made["PATH"]) == ("k", "x", "/only")


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ("KEY", "/env"),
        ([1], "/env"),
        (["A B"], "/env/A B"),
        (["HEADWAY_RUN_ID"], "/env/HEADWAY_RUN_ID"),
        ({"A": 1}, "/env/A"),
        ({"A": False}, "/env/A"),
        ({"A": "\0"}, "/env/A"),
    ],
)
def test_an_env_that_cannot_be_is_refused(env: Any, place: str) -> None:
    assert list(troubles(env=env)) == [place]


# Definitions


def test_the_schema_of_the_params() -> None:
    job = job_type(
        params={"a": {"type": "string", "arg": "--a", "secret": True}, "b": {"positional": True}},
        required=["a"],
    )
    assert job.schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {}},
        "additionalProperties": False,
        "required": ["a"],
    }
    assert job.schema is job.schema


def test_a_job_type_is_equal_to_its_copy_after_use() -> None:
    one, other = story(), story()
    one.accept({})
    assert one == other
    assert one.model_copy() == other


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"name": "Story"}, "/name"),
        ({"name": "a" * 64}, "/name"),
        ({"name": "a\n"}, "/name"),
        ({"command": []}, "/command"),
        ({"command": [""]}, "/command"),
        ({"command": ["a", "\0"]}, "/command/1"),
        ({"command": "echo hello"}, "/command"),
        ({"timeout_s": 0}, "/timeout_s"),
        ({"timeout_s": "900"}, "/timeout_s"),
        ({"timeout_s": float("inf")}, "/timeout_s"),
        ({"kill_grace_s": -1}, "/kill_grace_s"),
        ({"concurrency": 0}, "/concurrency"),
        ({"concurrency": True}, "/concurrency"),
        ({"skip_exit_codes": [0]}, "/skip_exit_codes/0"),
        ({"skip_exit_codes": [256]}, "/skip_exit_codes/0"),
        ({"output_limit_bytes": 4095}, "/output_limit_bytes"),
        ({"on_output_limit": "stop"}, "/on_output_limit"),
        ({"input": "xml"}, "/input"),
        ({"colour": 1}, "/colour"),
        ({"params": {"a b": {"arg": "--a"}}}, "/params/a b/[key]"),
        ({"params": {"a": {}}}, "/params/a"),
        ({"params": {"a": {"arg": "--a", "positional": True}}}, "/params/a/positional"),
        ({"params": {"a": {"arg": "--a"}, "b": {"arg": "--a"}}}, "/params/b/arg"),
        ({"required": ["nope"]}, "/required/0"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(table: dict[str, Any], place: str) -> None:
    assert list(troubles(**table)) == [place]


@pytest.mark.parametrize(
    ("first", "required"),
    [
        ({}, ["a"]),
        ({"type": "array"}, ["a"]),
        ({"type": ["string", "null"]}, ["a"]),
        ({"type": "string"}, []),
    ],
)
def test_a_positional_that_may_be_absent_stands_last(
    first: dict[str, Any], required: list[str]
) -> None:
    params = {"a": {"positional": True, **first}, "b": {"positional": True}}
    assert list(troubles(params=params, required=required)) == ["/params/a/positional"]


@pytest.mark.parametrize(
    ("first", "required"), [({"type": "string"}, ["a"]), ({"type": "integer", "default": 1}, [])]
)
def test_a_positional_that_is_always_there_may_stand_first(
    first: dict[str, Any], required: list[str]
) -> None:
    last = {"positional": True, "type": "array"}
    job = job_type(params={"a": {"positional": True, **first}, "b": last}, required=required)
    assert job.argv({"a": 1, "b": [2, 3]}) == ["prog", "--", "1", "2", "3"]


def test_faults_within_and_between_the_fields_are_told_at_once() -> None:
    found = troubles(
        timeout_s=0,
        params={"a": {"type": "sring"}, "b": {"arg": "--b", "default": 1, "maximum": 0}},
        required=["c"],
    )
    assert set(found) == {
        *("/timeout_s", "/params/a/type", "/params/a", "/params/b/default", "/required/0")
    }
    assert found["/params/a"] == 'add arg = "--a" or positional = true'


def test_names_that_are_allowed() -> None:
    assert job_type(name="a-b_9").name == "a-b_9"
    assert job_type(input="json", params={"a": {}, "b.c-d": {}}).accept({"a": 1}) == {"a": 1}
