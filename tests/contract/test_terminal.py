"""The command line on a terminal: what programs and clients wrote steers none, and none is lost."""

import json
import os
import pty
import re
import select
import subprocess
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server import Server

ATTACK = "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202egnp.exe"
"""Clears the screen, names the window, colours (in one C1 character), turns the direction."""
NAME = "\x9b31m\u202egnp.exe"
"""What of it a name may hold."""
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OUTPUT = f"{ATTACK}\r\ndone\rredone\n".encode() + b"\x9b0m\n"
SCRIPT = r"""
import json, os, sys
attack = sys.argv[2]
with open(os.environ["HEADWAY_REPORT"], "a") as report:
    print(json.dumps({"progress": 0.5, "message": attack, "result": {"a": attack}}), file=report)
    print(json.dumps({"result": {"a": attack}}), file=report)
open(os.path.join(os.environ["HEADWAY_ARTIFACTS"], "a\x1b[2Jb"), "w").close()
sys.stdout.buffer.write(bytes.fromhex(sys.argv[3]))
sys.exit(3)
"""
TYPE = f"""
[job_types.attack]
command = ["{{python}}", "-ISc", '''{SCRIPT}''']
params.attack = {{ type = "string", positional = true }}
params.output = {{ type = "string", positional = true }}
required = ["attack", "output"]
"""


@pytest.fixture
def attacked(launch: Callable[..., Any]) -> Any:
    """A server with a Job of a hostile client and a hostile program."""
    server = launch(tables=TYPE)
    params = {"attack": ATTACK, "output": OUTPUT.hex()}
    server.job_id = server.run("attack", params, name=NAME, labels={"a": NAME})["job_id"]
    run = server.run_of(server.job_id)
    assert (run["exit_code"], len(run["artifacts"]), run["result"]) == (3, 1, {"a": ATTACK})
    return server


def on_a_terminal(server: Server, *arguments: str) -> bytes:
    """What a verb shows there on both streams, without colours of its own."""
    window, terminal = pty.openpty()
    tty.setraw(terminal)  # so that it shows a line feed as it is
    environ = os.environ | {"TERM": "dumb", "HEADWAY_URL": server.url, "COLUMNS": "300"}
    command: list[str | Path] = [server.command, *arguments]
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environ) as process:
        os.close(terminal)
        shown, poll = b"", select.poll()
        poll.register(window, select.POLLIN)
        while poll.poll(server.deadline_s * 1000):
            try:
                piece = os.read(window, 65_536)
            except OSError:  # EIO: the last of the other end is closed
                break
            shown += piece
    os.close(window)
    assert process.returncode in (0, 1, 2), shown
    return shown


def in_a_pipe(server: Server, *arguments: str) -> bytes:
    environ = os.environ | {"HEADWAY_URL": server.url}
    return subprocess.run([server.command, *arguments], env=environ, stdout=subprocess.PIPE).stdout


def verbs(server: Any) -> list[list[str]]:
    of_job, given = [server.job_id], ["--params", json.dumps({"attack": ATTACK, "output": "00"})]
    return [
        *(["log", *of_job, *options] for options in ([], ["-f"], ["--times"], ["--tail", "99"])),
        *(["log", *of_job, "--json", *options] for options in ([], ["--times"])),
        *([verb, *options] for verb in ("list", "types") for options in ([], ["--json"])),
        *(["show", *of_job, *options] for options in ([], ["--json"])),
        *(["direct", "attack", *given, *options] for options in ([], ["--json"])),
        ["submit", "attack", *given, "--preview"],
        ["submit", "attack", *given, "--wait"],
        ["submit", "attack", *given, "--wait", "--json"],
        ["submit", "attack", *given, "--label", f"{'x' * 99}{ATTACK}=1"],
        ["retry", *of_job, "--wait"],
        ["show", f"job-{ATTACK}"],
        ["check", f"/nowhere/{ATTACK}"],
        *([ATTACK], ["list", "--status", ATTACK], ["list", f"--{ATTACK}"]),
    ]


def test_no_verb_lets_a_terminal_be_steered(attacked: Any) -> None:
    for arguments in verbs(attacked):
        shown = on_a_terminal(attacked, *arguments).decode()
        assert not STEERING.search(shown.replace("\r\n", "\n")), (arguments, shown)
        assert shown, arguments


def test_a_log_is_shown_with_all_that_it_holds(attacked: Any) -> None:
    shown = "␛[2J␛]0;owned␇\\u009b31m\\u007f\\u202egnp.exe\r\ndone␍redone\n\\x9b0m\n".encode()
    assert on_a_terminal(attacked, "log", attacked.job_id) == shown
    assert in_a_pipe(attacked, "log", attacked.job_id) == OUTPUT
    assert on_a_terminal(attacked, "log", attacked.job_id, "--raw") == OUTPUT


def test_json_is_the_same_on_a_terminal_and_in_a_pipe(attacked: Any) -> None:
    for arguments in (["show", attacked.job_id], ["log", attacked.job_id], ["list"]):
        shown = on_a_terminal(attacked, *arguments, "--json")
        exact = in_a_pipe(attacked, *arguments, "--json")
        decoded = [json.loads(text.partition(b"\nAll")[0]) for text in (shown, exact)]
        assert decoded[0] == decoded[1]
    exact = json.loads(in_a_pipe(attacked, "show", attacked.job_id, "--json"))
    assert (exact["job"]["name"], exact["run"]["result"]) == (NAME, {"a": ATTACK})


def test_a_direct_run_shows_its_output_exactly_when_it_is_asked_to(attacked: Any) -> None:
    params = json.dumps({"attack": "x", "output": OUTPUT.hex()})
    raw = on_a_terminal(attacked, "direct", "attack", "--params", params, "--raw")
    assert ATTACK.encode() in raw
