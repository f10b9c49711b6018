"""What both command lines share: the arguments, the exit status, and the start."""

import argparse
import os
import subprocess
import sys

import pytest

from pipelines.program import BadInput, ProgramFault, clean, conclude, seconds, whole_number

from .conftest import DEADLINE_S, ROOT

SLOW_TO_LOAD = {"sqlite3", "urllib.request", "dataclasses", "json", "tomllib", "random", "hashlib"}


@pytest.mark.parametrize(
    ("program", "option"),
    [("story", "--max-stories"), ("research", "run")],
    ids=["story", "research"],
)
def test_help_loads_neither_packages_nor_what_does_the_work(program: str, option: str) -> None:
    done = subprocess.run(  # -S: without any installed package
        [sys.executable, "-S", "-X", "importtime", "-m", f"pipelines.{program}", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=DEADLINE_S,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert option in done.stdout
    assert "HEADWAY_REPORT" in done.stdout
    assert "argparse" in loaded
    assert not loaded & SLOW_TO_LOAD
    assert {name for name in loaded if name.startswith("pipelines.")} <= {"pipelines.program"}


@pytest.mark.parametrize("program", [["story"], ["research", "run", "wells"]])
def test_the_standard_library_is_enough(program: list[str], tmp_path: os.PathLike[str]) -> None:
    name, *arguments = program
    done = subprocess.run(
        [sys.executable, "-S", "-m", f"pipelines.{name}", *arguments, f"--library={tmp_path}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_topic_is_put_on_one_line_and_composed() -> None:
    assert clean("  the\n old \t cafe\u0301 ", "topic") == "the old café"


def test_a_topic_may_have_200_characters_and_no_more() -> None:
    assert clean("등" * 200, "topic")
    with pytest.raises(argparse.ArgumentTypeError, match="the topic has 201"):
        clean("등" * 201, "topic")


@pytest.mark.parametrize("text", ["0", "11", "2.5", "", "ten"])
def test_a_whole_number_out_of_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        whole_number(1, 10)(text)


def test_the_bounds_of_a_whole_number_are_allowed() -> None:
    assert [whole_number(1, 10)(text) for text in ("1", "10")] == [1, 10]


def test_zero_seconds_are_allowed_only_where_they_mean_something() -> None:
    assert seconds(zero=True)("0") == 0.0
    assert seconds(zero=False)("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError):
        seconds(zero=False)("0")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ProgramFault("it broke"), 1),
        (BadInput("it is wrong"), 2),
        (OSError(28, "No space left"), 1),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_a_status(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def act() -> int:
        raise error

    assert conclude("story", act) == status
    assert capsys.readouterr().err == f"story: {error}\n"


def test_a_bug_is_not_made_to_look_like_a_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        conclude("story", lambda: 1 // 0)
