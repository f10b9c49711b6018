"""Command lines of job types, given to real programs: what was sent is what they read."""

import json
import subprocess
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from config.job_type import JobType
from config.slots import ARGUMENT_BYTES_MAX, ARGV_BYTES_MAX
from headway.model.problem import Refusal

DEADLINE_S = 30
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
# What a careless program or shell would take for something else.
NASTY = st.sampled_from(
    ["--help", "-x", "--", "-", "=", "--topic=z", "a b", "$(id)", "`id`", "a;b", "*", "\n", "'\""]
)
# Options by argparse, the way most programs read them; the answer is JSON on standard output.
ECHO = """
import argparse, json
parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--topic")
parser.add_argument("--tag", action="append")
parser.add_argument("--fast", action="store_true")
parser.add_argument("words", nargs="*")
print(json.dumps(vars(parser.parse_args())))
"""


def job_type(**table: Any) -> JobType:
    return JobType.model_validate({"name": "test", "command": ["prog"], **table})


def run(job: JobType, params: dict[str, Any]) -> str:
    argv, environment = job.argv(params), job.environment({})
    done = subprocess.run(
        argv, env=environment, capture_output=True, timeout=DEADLINE_S, check=True
    )
    return done.stdout.decode()


@settings(max_examples=25, deadline=None)  # each one starts an interpreter
@given(topic=TEXT | NASTY, tags=st.lists(TEXT | NASTY, max_size=3), words=st.lists(TEXT | NASTY))
def test_a_real_program_reads_back_what_was_given(
    topic: str, tags: list[str], words: list[str]
) -> None:
    job = job_type(
        command=["{python}", "-c", ECHO],
        params={
            "topic": {"type": "string", "arg": "--topic"},
            "tag": {"type": "array", "arg": "--tag"},
            "fast": {"type": "boolean", "arg": "--fast"},
            "words": {"type": "array", "positional": True},
        },
    )
    assume("--" not in [topic, *tags, *words])  # argparse of Python 3.11 drops any other "--"
    read = json.loads(run(job, job.accept({"topic": topic, "tag": tags, "words": words})))
    assert read == {"topic": topic, "tag": tags or None, "fast": False, "words": words}


def test_a_real_program_sees_every_slot_whatever_is_in_it() -> None:
    job = job_type(
        command=["{python}", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"],
        params={"x": {"arg": "--x"}, "words": {"type": "array", "positional": True}},
    )
    words = ["--", "--help", "", "a b", "*", "$HOME", "숲\n🌲"]
    read = json.loads(run(job, job.accept({"x": {"a": [1, None]}, "words": words})))
    assert read == ['--x={"a":[1,null]}', "--", *words]


@pytest.mark.parametrize("letter", ["a", "숲"])
def test_the_longest_argument_that_is_accepted_can_be_spawned(letter: str) -> None:
    job = job_type(command=["true"], params={"x": {"arg": "--x"}, "y": {"arg": "--y"}})
    room = ARGUMENT_BYTES_MAX - 1 - len("--x=\0")
    text = letter * (room // len(letter.encode())) + "a" * (room % len(letter.encode()))
    assert run(job, job.accept({"x": text})) == ""
    with pytest.raises(Refusal) as caught:
        job.accept({"x": text + "a", "y": text})
    assert [fault.pointer for fault in caught.value.faults] == ["/params/x"]


@pytest.mark.parametrize("size", [0, 100, 60_000])
def test_the_longest_command_line_that_is_accepted_can_be_spawned(size: int) -> None:
    job = job_type(command=["true"], params={"x": {"arg": "--x"}})
    head_bytes, slot_bytes = len("true\0") + 8, len("--x=\0") + size + 8
    count = (ARGV_BYTES_MAX - 1 - head_bytes) // slot_bytes
    assert run(job, job.accept({"x": ["a" * size] * count})) == ""
    with pytest.raises(Refusal) as caught:
        job.accept({"x": ["a" * size] * (count + 1)})
    assert [fault.pointer for fault in caught.value.faults] == ["/params"]
