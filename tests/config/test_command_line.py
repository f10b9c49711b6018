"""Command lines as real programs want them, and what no value can do to one."""

import sys
from typing import Any

import pytest

from config.command_line import DASH, Template, unknown_placeholders
from tests.config.test_job_type import faults, job_type, troubles

TEXT = {"type": "string"}
WORDS = {"type": "array", "items": TEXT}
PLACES = {"artifacts": "/runs/1/artifacts", "run_id": "run-1", "config_dir": "/etc/headway"}


def argv(command: list[str], given: dict[str, Any], **table: Any) -> list[str]:
    job = job_type(command=command, **table)
    return job.argv(job.accept(given), PLACES)


def test_ffmpeg() -> None:
    params = {
        "input": TEXT | {"arg": "-i"},
        "quality": {"type": "integer", "arg": "-crf"},
        "width": {"type": "integer"},
    }
    command = ["ffmpeg", "-vf", "scale={params.width}:-1", "{artifacts}/out.mp4"]
    line = argv(
        command,
        {"input": "a b.mov", "quality": 23, "width": 320},
        params=params,
        required=["width"],
    )
    assert line == [
        *("ffmpeg", "-vf", "scale=320:-1", "/runs/1/artifacts/out.mp4"),
        *("-i", "a b.mov", "-crf", "23"),
    ]


def test_a_placeholder_puts_a_parameter_where_the_program_wants_it() -> None:
    params = {"file": TEXT, "size": TEXT | {"pattern": "^[0-9]+x$"}}
    command = ["convert", "{params.file}", "-resize", "{params.size}", "{artifacts}/out.png"]
    line = argv(
        command, {"file": "x; rm *", "size": "200x"}, params=params, required=["file", "size"]
    )
    assert line == ["convert", "x; rm *", "-resize", "200x", "/runs/1/artifacts/out.png"]


@pytest.mark.parametrize(
    ("table", "value", "slots"),
    [
        ({"arg": "--n"}, 5, ["--n=5"]),
        ({"arg": "--n", "style": "separate"}, 5, ["--n", "5"]),
        ({"arg": "-n"}, 5, ["-n", "5"]),
        ({"arg": "-resize"}, "200x", ["-resize", "200x"]),
        ({"arg": "-n", "style": "attached"}, -5, ["-n-5"]),
        ({"arg": "-n", "style": "joined"}, "-5", ["-n=-5"]),
        ({"arg": "--tags", "style": "spread", **WORDS}, ["a", "b c"], ["--tags", "a", "b c"]),
        ({"arg": "--tags", "style": "spread", **WORDS}, [], []),
        ({"arg": "--tag", **WORDS}, ["a", "b"], ["--tag=a", "--tag=b"]),
        ({"arg": "--tag", "style": "repeated", **WORDS}, ["a"], ["--tag=a"]),
        ({"arg": "-t", "style": "repeated", **WORDS}, ["a", "b"], ["-t", "a", "-t", "b"]),
        ({"arg": "--tag", "style": "separate", **WORDS}, ["a", "b"], ["--tag", "a", "--tag", "b"]),
        ({"arg": "-v"}, True, ["-v"]),
        ({"arg": "-v", "style": "separate"}, False, []),
    ],
)
def test_a_value_follows_its_flag_in_the_style_of_its_parameter(
    table: dict[str, Any], value: Any, slots: list[str]
) -> None:
    assert argv(["p"], {"x": value}, params={"x": table}) == ["p", *slots]


def test_without_a_separator_a_script_reads_its_first_argument() -> None:
    params = {"words": WORDS | {"positional": True}}
    assert argv(["s"], {"words": ["a", "b"]}, params=params) == ["s", "--", "a", "b"]
    line = argv(["s"], {"words": ["a", "b"]}, params=params, separator=False)
    assert line == ["s", "a", "b"]


@pytest.mark.parametrize(
    "table",
    [
        {"params": {"x": {"arg": "-x"}}},
        {"params": {"x": {"arg": "--x", "style": "separate"}}},
        {"params": {"x": {"arg": "--x", "style": "spread", "type": "array"}}},
        {"params": {"x": {"positional": True}}, "separator": False},
        {"params": {"x": TEXT}, "command": ["p", "{params.x}"], "required": ["x"]},
        {
            "params": {"x": TEXT | {"pattern": "."}},
            "command": ["p", "{params.x}.txt"],
            "required": ["x"],
        },
    ],
)
@pytest.mark.parametrize("value", ["-", "-rf", "--help", -1])
def test_what_a_program_could_take_for_an_option_is_refused(
    table: dict[str, Any], value: Any
) -> None:
    param = table["params"]["x"]
    if isinstance(value, int) and param.get("type") == "string":
        value = str(value)
    given = {"x": [value] if param.get("type") == "array" else value}
    job = job_type(**table)
    assert faults(job, given) == {"/params/x": DASH}
    allowed = job_type(**table | {"params": {"x": param | {"allow_dash": True}}})
    assert allowed.accept(given) == given


def test_where_no_program_takes_it_for_an_option_a_dash_is_accepted() -> None:
    params = {
        "a": {"arg": "--a"},
        "b": TEXT | {"pattern": "."},
        "c": {"positional": True, "type": "string"},
    }
    given = {"a": "-1", "b": "-2", "c": "-3"}
    line = argv(["p", "b={params.b}"], given, params=params, required=["b", "c"])
    assert line == ["p", "b=-2", "--a=-1", "--", "-3"]


def test_places_are_filled_in_and_what_is_not_known_yet_stays() -> None:
    job = job_type(
        command=["{python}", "x{python}", "{config_dir}/a", "{work}", "{run_id}", "{{work}"]
    )
    assert job.argv({}, PLACES) == [
        *(sys.executable, f"x{sys.executable}", "/etc/headway/a", "{work}", "run-1", "{work}"),
    ]
    located = job.located(config_dir="/c", data_dir="/d")
    assert located.argv({}, located.places("run-2", None, {}))[2:5] == [
        "/c/a",
        "/d/runs/run-2/work",
        "run-2",
    ]
    assert located.argv({})[2:5] == ["/c/a", "{work}", "{run_id}"]


def test_a_directory_is_the_place_of_work() -> None:
    table = {"directory": "{data_dir}/of/{params.x}", "command": ["p", "{work}/y"]}
    params = {"x": TEXT | {"pattern": "^[a-z]+$"}}
    job = job_type(**table, params=params, required=["x"]).located(config_dir="/c", data_dir="/d")
    places = job.places("run-1", "job-1", {"x": "ann"})
    assert job.argv({"x": "ann"}, places) == ["p", "/d/of/ann/y"]


def test_an_environment_has_placeholders_too() -> None:
    params = {"n": {"type": "integer", "default": 7}}
    job = job_type(env={"N": "n={params.n}", "A": "{artifacts}", "P": True}, params=params)
    made = job.environment({"P": "p", "Q": "q"}, job.accept({}), PLACES)
    assert (made["N"], made["A"], made["P"]) == ("n=7", "/runs/1/artifacts", "p")
    assert "Q" not in made


def test_a_value_in_the_environment_is_bounded_like_an_argument() -> None:
    job = job_type(env={"X": "{params.x}"}, params={"x": TEXT}, required=["x"])
    assert job.accept({"x": "a" * 1000})
    assert list(faults(job, {"x": "a" * 200_000})) == ["/params/x"]


def test_a_secret_in_a_placeholder_is_shown_to_no_one() -> None:
    job = job_type(
        command=["p", "{params.x}"], params={"x": TEXT | {"secret": True}}, required=["x"]
    )
    assert job.display_argv({"x": "hunter2"}) == ["p", "***"]


@pytest.mark.parametrize(
    ("table", "pointer", "said"),
    [
        ({"command": ["p", "{params.y}"]}, "/command/1", "there is no parameter y"),
        ({"params": {"x": TEXT}, "command": ["p", "{params.x}"]}, "/command/1", "required"),
        (
            {"params": {"x": TEXT}, "required": ["x"], "command": ["p", "a{params.x}"]},
            "/command/1",
            "a pattern or an enum",
        ),
        (
            {"params": {"x": WORDS}, "required": ["x"], "command": ["p", "{params.x}"]},
            "/command/1",
            "a type of string",
        ),
        ({"env": {"A": "{params.y}"}}, "/env/A", "there is no parameter y"),
        ({"params": {"x": {"positional": True, "style": "joined"}}}, "/params/x/style", "add arg"),
        (
            {"params": {"x": {"arg": "--x", "style": "attached"}}},
            "/params/x/style",
            "one dash",
        ),
        ({"params": {"x": {"arg": "-x", "style": "spread"}}}, "/params/x/style", "array"),
        ({"params": {"x": {"arg": "-x", "style": "other"}}}, "/params/x/style", "spread"),
        (
            {"params": {"x": {"arg": "-x", "single_line": True, "type": "integer"}}},
            "/params/x/single_line",
            "string",
        ),
        ({"directory": "work"}, "/directory", "begin with {config_dir}"),
        ({"directory": "/a/{work}"}, "/directory", "remove {work}"),
        ({"directory": "/a/{params.y}"}, "/directory", "there is no parameter y"),
        ({"command": "python x.py"}, "/command", 'use a list: command = ["python", "x.py"]'),
    ],
)
def test_a_definition_that_would_go_wrong_is_refused(
    table: dict[str, Any], pointer: str, said: str
) -> None:
    assert said in troubles(**table)[pointer]


@pytest.mark.parametrize("value", ["a\nb", "a\n", "\r\n", "a\u2028b"])
def test_a_value_of_one_line_has_one(value: str) -> None:
    job = job_type(params={"x": TEXT | {"arg": "--x", "single_line": True}})
    assert faults(job, {"x": value}) == {"/params/x": "give it on one line"}
    assert job.accept({"x": "a b"})


def test_braces_that_are_no_placeholder_stay_as_they_are() -> None:
    text = '{"a": {"b": 1}} {print $1} {{python} {other} }}'
    assert Template.parse(text).fill({}, {}) == '{"a": {"b": 1}} {print $1} {python} {other} }}'
    assert unknown_placeholders(text) == ["{other}"]
