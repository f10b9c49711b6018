"""What a job program sees, and what its end is called."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server import Server


def end(server: Server, type: str, params: dict[str, Any] | None = None, **fields: Any) -> Any:
    """(the Job, its run) when it has ended; both agree on how."""
    job = server.run(type, params, **fields)
    run = server.run_of(job["job_id"])
    assert job["status"] == run["status"]
    assert job["started_at"] is not None
    assert job["finished_at"] is not None
    return job, run


# ---- what its end is called --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "code", "status"),
    [
        ("exit", 0, "COMPLETED"),
        ("exit", 77, "SKIPPED"),
        ("exit", 1, "FAILED"),
        ("exit", 3, "FAILED"),
        ("exit", 126, "FAILED"),
        ("exit", 127, "FAILED"),
        ("exit", 137, "FAILED"),
        ("exit", 143, "FAILED"),
        ("exit", 255, "FAILED"),
        ("skips", 3, "SKIPPED"),
        ("skips", 4, "SKIPPED"),
        ("skips", 77, "FAILED"),
    ],
)
def test_an_exit_status_is_told_as_it_was(
    server: Server, type: str, code: int, status: str
) -> None:
    _, run = end(server, type, {"code": code})
    assert (run["status"], run["exit_code"], run["signal"]) == (status, code, None)
    if status == "FAILED":
        assert run["error"]["code"] == "exit_status"
        assert run["error"]["message"]
    else:
        assert run["error"] is None


@pytest.mark.parametrize("code", [130, 141])
def test_an_exit_status_that_looks_like_a_signal_is_told_as_it_was(
    server: Server, code: int
) -> None:
    _, run = end(server, "exit", {"code": code})
    assert (run["exit_code"], run["signal"]) == (code, None)
    assert run["error"]["code"] == "exit_status"


@pytest.mark.parametrize(("number", "name"), [(2, "SIGINT"), (13, "SIGPIPE")])
def test_a_death_of_which_no_shell_tells_is_named_as_one_of_two(
    server: Server, number: int, name: str
) -> None:
    _, run = end(server, "signal", {"number": number})
    assert (run["status"], run["exit_code"], run["signal"]) == ("FAILED", 128 + number, None)
    assert run["error"]["code"] == "exit_status"
    assert name in run["error"]["message"]


@pytest.mark.parametrize("number", [9, 15, 11, 6, 1, 10])
def test_a_death_by_signal_is_told_from_an_exit_status(server: Server, number: int) -> None:
    _, run = end(server, "signal", {"number": number})
    assert (run["status"], run["exit_code"], run["signal"]) == ("FAILED", None, number)
    assert run["error"]["code"] == "signal"


@pytest.mark.parametrize("type", ["missing", "unknown", "directory", "nobody"])
def test_a_program_that_cannot_be_started_is_a_failure(server: Server, type: str) -> None:
    job, run = end(server, type)
    assert (run["status"], run["error"]["code"]) == ("FAILED", "spawn")
    assert run["exit_code"] is None
    assert run["signal"] is None
    assert server.get(f"/jobs/{job['job_id']}/runs")["total"] == 1


def test_a_script_whose_interpreter_is_missing_cannot_be_started(server: Server) -> None:
    script = 'printf "#!/no/such/interpreter\\n" > s; chmod +x s; exec ./s'
    _, run = end(server, "shell", {"script": script})
    assert run["status"] == "FAILED"


def test_a_program_that_runs_too_long_is_ended(server: Server) -> None:
    _, run = end(server, "hasty")
    assert (run["status"], run["error"]["code"]) == ("FAILED", "timeout")
    assert run["duration_s"] >= 0.3
    assert not server.processes()


def test_a_job_can_shorten_its_time(server: Server) -> None:
    _, run = end(server, "sleeper", {"time": 300}, timeout_s=0.2)
    assert run["error"]["code"] == "timeout"
    assert run["duration_s"] >= 0.2


def test_too_much_output_fails_where_the_type_says_so(server: Server) -> None:
    _, run = end(server, "flooding")
    assert (run["status"], run["error"]["code"]) == ("FAILED", "output_limit")
    assert run["log"]["truncated"] is True
    assert not server.processes()


def test_what_a_program_leaves_behind_ends_with_it(server: Server) -> None:
    job, run = end(server, "shell", {"script": "setsid sleep 300 & sleep 300 & echo $!; exit 4"})
    assert (run["status"], run["exit_code"]) == ("FAILED", 4)
    assert not server.is_alive(int(server.output(job["job_id"])))
    assert not server.processes()


# ---- how it is called --------------------------------------------------------------------------

AWKWARD = [
    "two words", "-x", "--flag", "--", "a=b", "$(touch /tmp/pwned)", "`id`", "; rm -rf /", "| cat",
    "'quotes' \"double\"", "*", "~", "\\", "tab\there", "new\nline", "", " ", "이야기 🪨", "%s%n",
]  # fmt: skip


@pytest.mark.parametrize("text", AWKWARD)
def test_a_value_is_never_split_interpreted_or_an_option(server: Server, text: str) -> None:
    params = {"name": text, "tags": [text, text], "text": text}
    job, run = end(server, "echo", params)
    argv = json.loads(server.output(job["job_id"]))
    assert argv == [f"--name={text}", "--count=1", f"--tag={text}", f"--tag={text}", "--", text]
    assert run["argv"][-6:] == argv
    assert run["params_snapshot"] == {**params, "count": 1}


@pytest.mark.parametrize(
    ("params", "argv"),
    [
        ({}, ["--count=1"]),
        ({"flag": True}, ["--count=1", "--flag"]),
        ({"flag": False, "tags": []}, ["--count=1"]),
        ({"count": 7.0}, ["--count=7"]),
        ({"count": 100, "ratio": 0.5}, ["--count=100", "--ratio=0.5"]),
        ({"ratio": 1e300}, ["--count=1", "--ratio=1e+300"]),
        ({"ratio": -3}, ["--count=1", "--ratio=-3"]),
    ],
)
def test_values_become_arguments(server: Server, params: Any, argv: list[str]) -> None:
    job, _ = end(server, "echo", params)
    assert json.loads(server.output(job["job_id"])) == argv


def test_params_on_standard_input(server: Server) -> None:
    given = {"text": '이야기\n"quoted" \\', "number": 1.5}
    job, run = end(server, "stdin", given)
    assert json.loads(server.output(job["job_id"])) == given
    assert not any("quoted" in word for word in run["argv"])
    job, _ = end(server, "stdin")
    assert json.loads(server.output(job["job_id"])) == {"text": "standard"}


# ---- what it sees ------------------------------------------------------------------------------


def test_the_environment_is_clean(server: Server) -> None:
    job, run = end(server, "environ")
    entries = server.output(job["job_id"]).decode().rstrip("\0").split("\0")
    environ = dict(entry.split("=", 1) for entry in entries)
    assert len(environ) == len(entries)
    own = {name: environ.pop(name) for name in list(environ) if name.startswith("HEADWAY_")}
    assert environ.pop("PASSED_ON") == "passed on"
    assert environ.pop("FIXED") == "fixed value"
    assert set(environ) - {"TZ"} == {"PATH", "HOME", "LANG", "PYTHONUNBUFFERED"}
    assert own.pop("HEADWAY_JOB_ID") == job["job_id"]
    assert own.pop("HEADWAY_RUN_ID") == run["run_id"]
    assert set(own) == {"HEADWAY_ARTIFACTS", "HEADWAY_REPORT"}
    assert all(value.startswith(str(server.data_dir)) for value in own.values())


def test_a_direct_run_has_no_job_id_in_its_environment(server: Server) -> None:
    tail = server.post("/direct/environ")["log_tail"]
    assert "HEADWAY_RUN_ID=" in tail
    assert "HEADWAY_JOB_ID=" not in tail
    assert server.server_variable not in tail


def test_output_that_is_opened_anew_is_whole(server: Server) -> None:
    job, run = end(server, "reopens")
    assert server.output(job["job_id"]) == b"one\ntwo\nthree\n"
    assert run["log"] == {"bytes": 14, "truncated": False}


def test_a_run_shows_what_its_program_left_behind(server: Server) -> None:
    job, run = end(server, "leaver")
    assert (job["status"], run["left"]) == ("COMPLETED", {"processes": 1, "killed": 0})
    assert server.output(job["job_id"]) == b"ready\nbye\n"
    _, run = end(server, "ok")
    assert run["left"] == {"processes": 0, "killed": 0}


def test_a_run_outlives_the_removal_of_its_directory(server: Server) -> None:
    job, run = end(server, "remover")
    assert (job["status"], run["exit_code"]) == ("FAILED", 3)
    assert server.output(job["job_id"]) == b"before\nafter\n"


def test_no_descriptor_is_inherited(server: Server) -> None:
    job, _ = end(server, "descriptors")
    lines = server.output(job["job_id"]).decode().splitlines()
    found = dict(re.findall(r" (\d+) -> (\S+)$", "\n".join(lines), re.M))
    directory = found.pop("3")  # of ls itself
    assert re.fullmatch(r"/proc/\d+/fd", directory)
    pipe = found["1"]
    assert re.fullmatch(r"pipe:\[\d+\]", pipe)
    assert found == {"0": "/dev/null", "1": pipe, "2": pipe}


def test_the_directory_is_fresh_the_input_empty_and_the_session_its_own(server: Server) -> None:
    seen = []
    for _ in range(2):
        job, run = end(server, "around")
        found = json.loads(server.output(job["job_id"]))
        assert found["files"] == []
        assert found["stdin"] == ""
        assert found["cwd"].startswith(str(server.data_dir / "runs" / run["run_id"]))
        assert found["session"] == run["pid"]
        assert found["session"] != server.pid
        assert not any(int(line.split()[1], 16) for line in found["blocked"] if "Blk" in line)
        ignored = int(found["blocked"][1].split()[1], 16)
        # Python itself ignores SIGPIPE (13) and SIGXFSZ (25); 32 and 33 are glibc's own.
        assert ignored & 0x7FFF_FFFF & ~(1 << 12 | 1 << 24) == 0
        seen.append(found["cwd"])
    assert seen[0] != seen[1]


def test_a_pipe_without_reader_ends_a_program_silently(server: Server) -> None:
    """SIGPIPE has its default meaning again: `yes | head` ends."""
    job, run = end(server, "shell", {"script": "yes | head -1"})
    assert (run["status"], server.output(job["job_id"])) == ("COMPLETED", b"y\n")


# ---- what it reports ---------------------------------------------------------------------------


def test_progress_and_result(server: Server, gate: Any) -> None:
    job_id = server.submit("report", {"path": gate.path})["job_id"]
    quarter = {"fraction": 0.25, "message": "a quarter"}
    server.eventually(lambda: server.job(job_id)["progress"] == quarter, "progress shows early")
    assert server.job(job_id)["status"] == "RUNNING"
    gate.open()
    job = server.until(job_id)
    assert job["progress"] == {"fraction": 1.0, "message": "done"}
    run = server.run_of(job_id)
    assert (run["status"], run["result"]) == ("COMPLETED", {"answer": 42, "text": "é"})


@pytest.mark.parametrize("result", [0, None, "text", [1, None], {"a": {"b": []}}, False, 1e300])
def test_any_json_can_be_a_result(server: Server, result: Any) -> None:
    _, run = end(server, "reporting", {"result": result})
    assert run["result"] == result


BAD_REPORTS = [
    r'{"progress": "half"}',
    r'{"progress": true}',
    r'{"progress": NaN}',
    r'{"progress": 1e400}',
    r'{"progress": ' + "9" * 400 + "}",
    r'{"progress": ' + "9" * 5000 + "}",
    r'{"result": ' + "9" * 5000 + "}",
    r'{"result": -Infinity}',
    r'{"result": "\ud800"}',
    r'{"message": "\u0000"}',
    r'{"message": {"deep": [1]}}',
    r'{"result": ' + "[" * 3000 + "]" * 3000 + "}",
    r"[]",
    r"5",
    "\\377\\376",
]


def test_a_nonsensical_report_harms_nobody(server: Server) -> None:
    """A program can write anything there: the server lives, and the Job ends as it ended."""
    for line in BAD_REPORTS:
        script = f"printf '%b\\n' '{line}' >> \"$HEADWAY_REPORT\"".replace("\\u", "\\\\u")
        job, run = end(server, "shell", {"script": script})
        assert run["status"] == "COMPLETED", line[:60]
        assert server.job(job["job_id"])["status"] == "COMPLETED"


def test_a_report_that_is_no_file_any_more_harms_nobody(server: Server) -> None:
    for script in (
        'rm -f "$HEADWAY_REPORT"',
        'rm -f "$HEADWAY_REPORT"; mkdir "$HEADWAY_REPORT"',
        'rm -f "$HEADWAY_REPORT"; ln -s nowhere "$HEADWAY_REPORT"',
        'rm -f "$HEADWAY_REPORT"; mkfifo "$HEADWAY_REPORT"',
        'rm "$HEADWAY_ARTIFACTS"/../log; exit 0',
        'rm -r "$HEADWAY_ARTIFACTS"',
        'rm -r "$HEADWAY_ARTIFACTS"; echo > "$HEADWAY_ARTIFACTS"',
        "rm -r ../work",
    ):
        _, run = end(server, "shell", {"script": script})
        assert run["status"] == "COMPLETED", script
    script = 'rm "$HEADWAY_ARTIFACTS"/../log; exit 127'
    assert end(server, "shell", {"script": script})[1]["status"] == "FAILED"
    # With its directory the record of its end is gone: never success by assumption.
    _, run = end(server, "shell", {"script": 'rm -rf "${HEADWAY_ARTIFACTS%/*}"'})
    assert run["exit_code"] == 0 or run["error"]["code"] == "interrupted"


# ---- where it starts ---------------------------------------------------------------------------


def test_a_type_may_have_a_directory_of_its_own(
    launch: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    table = f"""
[job_types.there]
command = ["sh", "-c", "pwd; echo {{work}}; echo left > left.txt"]
directory = "{tmp_path}/project"
"""
    server = launch(tables=table)
    job = server.run("there")
    assert server.output(job["job_id"]).decode().split() == [f"{tmp_path}/project"] * 2
    assert (tmp_path / "project" / "left.txt").read_text() == "left\n"
    shutil.rmtree(tmp_path / "project")
    job, run = end(server, "there")
    assert (run["status"], run["error"]["code"]) == ("FAILED", "spawn")
    assert "there is no such directory" in run["error"]["message"]
