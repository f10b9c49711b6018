"""The verbs against a small real HTTP server: what they ask, print, and exit with."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cyclopts import App

from headway.cli.jobs import register
from tests.headway.sample import job, run

JOB = job(params={"topic": "sea"}, position=7, name="[red]night", labels={"team": "x"})
RUN = run(
    argv=["story", "--", "sea"],
    finished_at="2031-05-01T08:01:05Z",
    duration_s=65.0,
    result={"written": 1},
    artifacts=[{"name": "a.md", "size_bytes": 2048, "sha256": "0" * 64}],
    log={"bytes": 12, "truncated": False},
    left={"processes": 2, "killed": 1},
)
FAILED_RUN = RUN | {
    "status": "FAILED",
    "exit_code": 3,
    "error": {"code": "exit_status", "message": "it exited with 3\x1b[2J"},
}
WHY: dict[str, Any] = {
    "job_id": "job-1",
    "status": "QUEUED",
    "waiting": [
        {
            "code": "scheduler_stopped",
            "message": "the scheduler is stopped: start it",
            "count": None,
            "until": None,
            "by": [],
        },
        {
            "code": "jobs_ahead",
            "message": "2 Jobs go before it",
            "count": 2,
            "until": None,
            "by": [],
        },
    ],
    "ahead": 10_000,
    "ahead_exact": False,
    "estimate": None,
    "ending": None,
    "message": "it waits",
}
STATUS: dict[str, Any] = {
    "scheduler_running": False,
    "current_job_id": None,
    "running_job_ids": [],
    "queue_length": 5,
    "eligible": 4,
    "deferred": 1,
    "cumulative_stats": {
        "total_executed": 42,
        "succeeded": 38,
        "failed": 3,
        "cancelled": 1,
        "skipped": 1,
    },
    "has_active_reservation": False,
    "concurrency": 1,
    "started_at": "2031-05-01T08:00:00Z",
    "durability": "full",
    "host_condition": None,
    "unconfigured": {},
}
CONFIG = {"concurrency": 3, "types": {"story": 1, "research": None}, "overridden": []}
STORY = {
    "name": "story",
    "description": "Write stories",
    "params_schema": {
        "type": "object",
        "properties": {
            "topic": {"type": "string"},
            "max_stories": {"type": "integer", "default": 1},
            "enable_dedup": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["topic"],
    },
    "input": "arguments",
    "arguments": [{"name": "topic", "arg": None, "positional": True, "secret": False}],
    "timeout_s": 900.0,
    "kill_grace_s": 10.0,
    "concurrency": 1,
    "adopt": True,
    "output": "pipe",
    "skip_exit_codes": [77],
}
OTHER_TYPE = STORY | {"name": "echo", "params_schema": {"type": "object"}}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    body: Any


@dataclass
class Reply:
    body: Any
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Server:
    """Answers `METHOD /path` with the reply, or the next of a list of replies, set for it."""

    def __init__(self) -> None:
        self.replies: dict[str, Any] = {"GET /job-types/story": STORY}
        self.requests: list[Request] = []

    def __setitem__(self, what: str, reply: Any) -> None:
        self.replies[what] = reply

    def take(self, request: Request) -> Reply:
        self.requests.append(request)
        reply = self.replies.get(f"{request.method} {request.path}")
        if isinstance(reply, list):
            reply = reply.pop(0)
        if reply is None:
            return problem(404, "not_found", "there is no such thing")
        return reply if isinstance(reply, Reply) else Reply(reply)

    def sent(self, what: str) -> Request:
        (found,) = [each for each in self.requests if f"{each.method} {each.path}" == what]
        return found


def problem(status: int, code: str, detail: str, **extra: Any) -> Reply:
    document = {"type": "urn:x", "title": "No", "status": status, "detail": detail, "code": code}
    return Reply(document | extra, status=status, content_type="application/problem+json")


def events(*names: str) -> Reply:
    text = "".join(f"event: {name}\ndata: {{}}\n\n" for name in names)
    return Reply(text.encode(), content_type="text/event-stream")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    fake = Server()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            reply = fake.take(Request(self.command, parts.path, parse_qs(parts.query), body))
            reply.before()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.content())

        do_GET = do_POST = do_PATCH = do_DELETE = handle_one

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that goes away in the middle of an answer is part of the tests."""

    with Quiet(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        monkeypatch.setenv("HEADWAY_URL", f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, args=(0.001,))
        thread.start()
        yield fake
        http.shutdown()
        thread.join()


def headway(*argv: str) -> int:
    """The exit status of a command line."""
    app = App(name="headway", result_action="return_value")
    register(app)
    try:
        status = app(list(argv))
    except SystemExit as exit_:
        status = exit_.code
    assert isinstance(status, int)
    return status


# ---- submit ------------------------------------------------------------------------------------


def test_submit_prints_the_id_alone(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    assert headway("submit", "story", "--priority", "3", "--label", "team=x=y", "--name", "n") == 0
    out, err = capsys.readouterr()
    assert out == "job-1\n"
    assert "QUEUED, priority 0, position 7." in err
    assert "headway log -f job-1" in err
    body = server.sent("POST /jobs").body
    assert (body["type"], body["priority"], body["name"]) == ("story", 3, "n")
    assert body["labels"] == {"team": "x=y"}
    assert len(server.requests) == 1, "without --param the schema is not needed"


def test_params_are_what_the_schema_says(server: Server) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    argv = ["submit", "story", "--params", '{"topic": "x", "max_stories": 1}']
    for pair in ("topic=007", "max_stories=3", "enable_dedup=true", "tags=a", 'tags=["b", "c"]'):
        argv += ["--param", pair]
    assert headway(*argv) == 0
    assert server.sent("POST /jobs").body["params"] == {
        "topic": "007",
        "max_stories": 3,
        "enable_dedup": True,
        "tags": ["a", "b", "c"],
    }


def test_run_at_keeps_its_moment(server: Server) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    assert headway("submit", "story", "--run-at", "2031-05-01T08:00:00+09:00") == 0
    assert server.sent("POST /jobs").body["run_at"] == "2031-04-30T23:00:00Z"


def test_a_job_may_expire(server: Server) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    assert headway("submit", "story", "--expires-at", "2031-05-01T08:00:00Z") == 0
    assert server.sent("POST /jobs").body["expires_at"] == "2031-05-01T08:00:00Z"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--param", "max_stories=many"], "--param max_stories wants JSON, like 3"),
        (["--param", "max_stories=NaN"], "wants JSON"),
        (["--param", "topic=a", "--param", "topic=b"], "--param topic is given twice"),
        (["--param", "topic"], "--param wants key=value, not 'topic'"),
        (["--params", "[1]"], "--params wants a JSON object"),
        (["--params", "{"], "--params wants JSON"),
        (["--label", "=x"], "--label wants key=value"),
        (["--label", "a=1", "--label", "a=2"], "--label key is given twice"),
        (["--run-at", "tomorrow"], "'tomorrow' is no time"),
        (["--run-at", "20310501"], "'20310501' is no time"),
        (["--run-at", "1900000000"], "'1900000000' is no time"),
        (["--expires-at", "2031-05-01"], "'2031-05-01' is no time"),
        (["--run-at", "2031-05-01T08:00:00"], "has no time zone"),
        (["--expires-at", "soon"], "'soon' is no time"),
        (["--url", "localhost"], "is not an address"),
    ],
)
def test_what_cannot_be_meant_is_not_sent(
    server: Server, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    assert headway("submit", "story", *argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert not [each for each in server.requests if each.method == "POST"]


def test_an_unknown_type_is_refused_by_the_submit(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /jobs"] = problem(422, "unknown_type", "there is no job type stroy")
    assert headway("submit", "stroy", "--param", "n=1") == 2
    assert server.sent("POST /jobs").body["params"] == {"n": "1"}
    err = capsys.readouterr().err
    assert "headway: there is no job type stroy" in err
    assert "`headway types` lists" in err


# ---- --wait ------------------------------------------------------------------------------------


ENDED = {"finished_at": "2031-05-01T08:01:05Z", "started_at": "2031-05-01T08:00:00Z"}


@pytest.mark.parametrize(
    ("status", "run", "code", "words"),
    [
        ("COMPLETED", RUN, 0, "COMPLETED after 1 min 5 s"),
        ("SKIPPED", None, 0, "SKIPPED: it expired"),
        ("FAILED", FAILED_RUN, 1, "FAILED after 1 min 5 s: exit_status: it exited with 3"),
        ("CANCELLED", None, 1, "CANCELLED: it expired"),
    ],
)
def test_wait_exits_with_the_outcome(
    server: Server, capsys: pytest.CaptureFixture[str], status: str, run: Any, code: int, words: str
) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    server["GET /events"] = events("run_started", "job_ended")
    ended = JOB | ENDED | {"status": status, "reason": "it expired"}
    server["GET /jobs/job-1"] = [JOB, JOB | {"status": "RUNNING"}, ended]
    server["GET /jobs/job-1/runs"] = {"runs": [run] if run else [], "total": 1}
    assert headway("submit", "story", "--wait") == code
    out, err = capsys.readouterr()
    assert out == "job-1\n"
    assert words in err
    assert "\x1b" not in err
    assert server.sent("GET /events").query == {"job_id": ["job-1"]}


def test_retry_waits_too_and_can_print_json(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /jobs/job-0/retry"] = Reply(JOB | {"retry_of": "job-0"}, status=201)
    server["GET /events"] = events("job_ended")
    server["GET /jobs/job-1"] = JOB | ENDED | {"status": "COMPLETED"}
    assert headway("retry", "job-0", "--wait", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "COMPLETED"
    assert err == ""


def test_an_interrupted_wait_leaves_the_job_running(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    server["GET /events"] = events()
    interrupt = Reply(JOB, before=lambda: os.kill(os.getpid(), signal.SIGINT))
    server["GET /jobs/job-1"] = interrupt
    assert headway("submit", "story", "--wait") == 130
    assert "job-1 goes on" in capsys.readouterr().err
    assert {each.method for each in server.requests[1:]} == {"GET"}


# ---- looking -----------------------------------------------------------------------------------


def test_list_is_plain_in_a_pipe(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    long = JOB | {"job_id": "job-2", "status": "RUNNING", "name": "n" * 150}
    long["progress"] = {"fraction": 0.4, "message": "two\x1b[31m"}
    page = {"jobs": [JOB, long], "next_cursor": "c", "counts": {"QUEUED": 3, "RUNNING": 1}}
    server["GET /jobs"] = page
    argv = ["--status", "QUEUED", "--status", "RUNNING", "--type", "story", "-q", "sea"]
    assert headway("list", *argv, "--label", "team=x", "--retry-of", "job-0", "--limit", "2") == 0
    out, err = capsys.readouterr()
    head, first, second = out.splitlines()
    assert head.split() == ["JOB", "TYPE", "STATUS", "PRIORITY", "CREATED", "NAME", "NOTE"]
    assert first.startswith("job-1  story  QUEUED")
    assert "[red]night" in first
    assert first.split()[4:6] == ["2031-05-01", "08:00:00Z"]
    assert first.endswith("  position 7")
    assert "n" * 150 in second
    assert second.endswith("40% two␛[31m")
    assert "2 shown. All Jobs: 3 QUEUED, 1 RUNNING." in err
    assert "--limit 20" in err
    assert server.sent("GET /jobs").query == {
        "status": ["QUEUED", "RUNNING"],
        "type": ["story"],
        "label": ["team=x"],
        "q": ["sea"],
        "retry_of": ["job-0"],
        "limit": ["2"],
    }


def test_list_as_json_is_what_the_server_said(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"jobs": [JOB], "next_cursor": None, "counts": {"QUEUED": 1}}
    server["GET /jobs"] = page
    assert headway("list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == page


@pytest.mark.parametrize("argv", [["--limit", "0"], ["--status", "DONE"], ["--nonsense"]])
def test_a_wrong_list_is_a_usage_error(server: Server, argv: list[str]) -> None:
    assert headway("list", *argv) == 2
    assert server.requests == []


def test_show_tells_all(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["GET /jobs/job-1"] = JOB | ENDED | {"status": "FAILED"}
    server["GET /jobs/job-1/runs"] = {"runs": [FAILED_RUN], "total": 1}
    assert headway("show", "job-1") == 0
    out = capsys.readouterr().out
    for words in (
        "[red]night",
        "team=x",
        '{"topic": "sea"}',
        "exit_status: it exited with 3␛[2J",
        "1 min 5 s",
        '["story", "--", "sea"]',
        '{"written": 1}',
        "a.md (2 KiB)",
        "2, ended with the run, 1 of them by KILL",
    ):
        assert words in out
    assert "Not before" not in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("given", "collection", "words"),
    [
        ([], {"complete": True, "reason": None}, None),
        ([], {"complete": False, "reason": None}, "under way"),
        ([True], {"complete": False, "reason": None}, "its checksums are still being computed"),
        ([True, False], {"complete": False, "reason": "1 files were not kept"},
         "not complete: 1 files were not kept"),
    ],
)  # fmt: skip
def test_show_says_what_of_the_artifacts_is_not_there(
    server: Server,
    capsys: pytest.CaptureFixture[str],
    given: list[bool],
    collection: dict[str, Any],
    words: str | None,
) -> None:
    artifacts = [
        {"name": f"{n}.md", "size_bytes": 2048, "sha256": None, "kept": kept}
        for n, kept in enumerate(given)
    ]
    run = RUN | {"artifacts": artifacts, "collection": collection}
    server["GET /jobs/job-1"] = JOB | ENDED
    server["GET /jobs/job-1/runs"] = {"runs": [run], "total": 1}
    assert headway("show", "job-1") == 0
    out = capsys.readouterr().out
    for n, kept in enumerate(given):
        assert f"{n}.md (2 KiB)" in out if kept else f"{n}.md (2 KiB, not kept)" in out
    assert ("Collection" in out) == (words is not None)
    assert words is None or words in out


def test_show_as_json(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["GET /jobs/job-1"] = JOB
    server["GET /jobs/job-1/runs"] = {"runs": [], "total": 0}
    server["GET /jobs/job-1/explain"] = WHY
    assert headway("show", "job-1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"job": JOB, "run": None, "explanation": WHY}


def test_show_says_why_a_job_waits(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["GET /jobs/job-1"] = JOB
    server["GET /jobs/job-1/runs"] = {"runs": [], "total": 0}
    server["GET /jobs/job-1/explain"] = WHY
    assert headway("show", "job-1") == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["Waits", "the scheduler is stopped: start it"] in lines
    assert ["Waits", "2 Jobs go before it"] in lines
    assert ["Ahead", "10,000 or more"] in lines
    assert ["Starts", "unknown"] in lines
    moments = {"start_at": "2031-05-01T08:00:20Z", "earliest": "2031-05-01T08:00:10Z"}
    estimate = {**moments, "latest": "2031-05-01T08:00:30Z"}
    server["GET /jobs/job-1/explain"] = WHY | {"ahead_exact": True, "estimate": estimate}
    assert headway("show", "job-1") == 0
    out = capsys.readouterr().out
    assert "10,000\n" in out
    assert (
        "about 2031-05-01 08:00:20Z, between 2031-05-01 08:00:10Z and 2031-05-01 08:00:30Z" in out
    )


def test_show_of_nothing(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert headway("show", "job-9") == 2
    assert capsys.readouterr().err == "headway: there is no such thing\n"


def test_a_preview_queues_nothing(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {"argv": ["story", "--", "a b\x1b"], "stdin": '{"a":1}', "params": {"topic": "a b"}}
    server["POST /job-types/story/preview"] = shown
    assert headway("submit", "story", "--params", '{"topic": "a b"}', "--preview") == 0
    captured = capsys.readouterr()
    assert captured.out == "story -- 'a b\x1b'\n"
    assert captured.err == 'On its standard input: {"a":1}\n'
    assert server.sent("POST /job-types/story/preview").body == {"params": {"topic": "a b"}}
    assert headway("submit", "story", "--preview", "--json") == 0
    assert json.loads(capsys.readouterr().out) == shown
    assert {request.path for request in server.requests} == {"/job-types/story/preview"}


def test_history_leaves_quiet_steps_out(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = {
        "queue_length": 2, "completed": 0, "failed": 0, "skipped": 0, "cancelled": 0,
        "wait_s": None, "run_s": None,
    }  # fmt: skip
    times = {"p50": 0.25, "p95": 3.0, "p99": 70.0}
    points = [
        quiet | {"at": "2031-05-01T08:01:00Z"},
        quiet | {"at": "2031-05-01T08:02:00Z"},
        quiet | {"at": "2031-05-01T08:03:00Z", "failed": 4, "wait_s": times, "run_s": times},
        quiet | {"at": "2031-05-01T08:03:20Z"},
    ]
    ends = {"from": "2031-05-01T08:00:00Z", "to": "2031-05-01T08:03:20Z"}
    server["GET /scheduler/history"] = {**ends, "step_s": 60, "points": points}
    assert headway("scheduler", "history", "day") == 0
    out = capsys.readouterr().out
    assert server.sent("GET /scheduler/history").query == {"span": ["day"]}
    assert [line[:20].strip() for line in out.splitlines()] == [
        "UNTIL", "2031-05-01 08:01:00Z", "2031-05-01 08:03:00Z", "2031-05-01 08:03:20Z",
    ]  # fmt: skip
    assert "250 ms, 3 s" in out
    assert headway("scheduler", "history", "--json") == 0
    assert json.loads(capsys.readouterr().out)["from"] == "2031-05-01T08:00:00Z"


def test_log_is_byte_for_byte(server: Server, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    server["GET /jobs/job-1/log"] = Reply(b"a\xff\x00\r\n\x1b[31m", content_type="text/plain")
    assert headway("log", "job-1") == 0
    assert capsysbinary.readouterr().out == b"a\xff\x00\r\n\x1b[31m"


def test_log_follows(server: Server, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    text = 'event: log\nid: 3\ndata: {"text": "é\\n"}\n\nevent: end\ndata: {}\n\n'
    server["GET /jobs/job-1/log"] = Reply(text.encode(), content_type="text/event-stream")
    assert headway("log", "-f", "job-1") == 0
    assert capsysbinary.readouterr().out == b"\xc3\xa9\n"
    assert headway("log", "-f", "job-1", "--json") == 0
    assert capsysbinary.readouterr().out == b'{"text": "\\u00e9\\n"}\n'


def test_log_shows_times(server: Server, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    server["GET /jobs/job-1"] = JOB | ENDED | {"status": "COMPLETED"}
    text = b'event: log\nid: 4\ndata: {"text":"a\\nb\\n"}\n\nevent: end\ndata: {}\n\n'
    server["GET /jobs/job-1/log"] = Reply(text, content_type="text/event-stream")
    server["GET /jobs/job-1/log/times"] = {
        "times": [
            {"offset": 0, "at": "2031-05-01T08:00:00Z"},
            {"offset": 2, "at": "2031-05-01T08:00:01.25Z"},
        ]
    }
    assert headway("log", "job-1", "--times", "--tail", "9") == 0
    assert capsysbinary.readouterr().out == (
        b"2031-05-01 08:00:00.000Z a\n2031-05-01 08:00:01.250Z b\n"
    )
    assert server.sent("GET /jobs/job-1/log").query == {"tail": ["9"]}
    assert headway("log", "job-1", "--times", "--json") == 0
    first, _ = capsysbinary.readouterr().out.splitlines()
    assert json.loads(first) == {"at": "2031-05-01T08:00:00Z", "text": "a\n"}
    assert headway("log", "job-1", "--tail", "-1") == 2


def test_types_are_listed_with_their_parameters(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["GET /job-types"] = {"job_types": [STORY, OTHER_TYPE]}
    assert headway("types") == 0
    out = capsys.readouterr().out
    assert "topic (string, required), max_stories (integer, 1 if not given)" in out
    assert "15 min 0 s" in out
    assert headway("types", "--json") == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["story", "echo"]


# ---- acting ------------------------------------------------------------------------------------


def test_cancel_says_whether_it_is_over(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["POST /jobs/job-1/cancel"] = Reply(JOB | {"status": "RUNNING"}, status=202)
    assert headway("cancel", "job-1") == 0
    assert "was asked to end" in capsys.readouterr().err
    server["POST /jobs/job-1/cancel"] = Reply(JOB | ENDED | {"status": "CANCELLED"}, status=202)
    assert headway("cancel", "job-1") == 0
    assert capsys.readouterr() == ("job-1\n", "CANCELLED.\n")


def test_priority_changes_only_that(server: Server) -> None:
    server["PATCH /jobs/job-1"] = JOB | {"priority": 9}
    assert headway("priority", "job-1", "9") == 0
    assert server.sent("PATCH /jobs/job-1").body == {"priority": 9}


@pytest.mark.parametrize(("run", "code"), [(RUN, 0), (FAILED_RUN, 1)])
def test_direct_prints_the_output(
    server: Server, capsys: pytest.CaptureFixture[str], run: dict[str, Any], code: int
) -> None:
    server["POST /direct/story"] = run | {"job_id": None, "log_tail": "hello\n"}
    assert headway("direct", "story", "--param", "max_stories=2") == code
    out, err = capsys.readouterr()
    assert out == "hello\n"
    assert f"{run['status']} after 1 min 5 s" in err
    assert server.sent("POST /direct/story").body == {"params": {"max_stories": 2}}


def test_an_interrupted_direct_run_is_given_up(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt = Reply({}, before=lambda: os.kill(os.getpid(), signal.SIGINT))
    server["POST /direct/story"] = interrupt
    assert headway("direct", "story") == 130
    assert "is given up" in capsys.readouterr().err


def test_the_scheduler_is_started_stopped_and_seen(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /scheduler/start"] = STATUS | {"scheduler_running": True}
    server["POST /scheduler/stop"] = STATUS
    server["GET /scheduler/status"] = STATUS
    assert headway("scheduler", "start") == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["Scheduler", "running"]
    assert headway("scheduler", "stop", "--wait-s", "2.5") == 0
    assert server.sent("POST /scheduler/stop").body == {"wait_s": 2.5}
    out = capsys.readouterr().out
    assert "5 (4 may start, 1 wait)" in out
    assert "38 succeeded, 3 failed, 1 skipped" in out
    assert headway("scheduler", "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == STATUS
    server["GET /scheduler/status"] = STATUS | {"unconfigured": {"gone": 2, "old": 1}}
    assert headway("scheduler", "status") == 0
    assert "Not configured  2 of type gone, 1 of type old" in capsys.readouterr().out


HELD = {
    "reservation_id": "rsv-1",
    "kind": "hold",
    "state": "HELD",
    "run_id": None,
    "ttl_s": 60.0,
    "created_at": "2026-01-18T08:00:00Z",
    "held_at": "2026-01-18T08:00:01Z",
    "expires_at": "2026-01-18T08:01:01Z",
    "ended_at": None,
    "end_reason": None,
}


def test_reservations_are_listed_and_released(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["GET /scheduler/reservations"] = {"reservations": [HELD]}
    server["DELETE /scheduler/reservations"] = {"reservations": [HELD]}
    server["DELETE /scheduler/reservations/rsv-1"] = HELD
    assert headway("scheduler", "reservations") == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == [
        *("rsv-1", "hold", "HELD", "2026-01-18", "08:00:01Z", "2026-01-18", "08:01:01Z")
    ]
    assert headway("scheduler", "release", "--all") == 0
    assert headway("scheduler", "release", "rsv-1", "--json") == 0
    assert server.sent("DELETE /scheduler/reservations")
    assert server.sent("DELETE /scheduler/reservations/rsv-1")
    capsys.readouterr()
    for wrong in ((), ("rsv-1", "--all")):
        assert headway("scheduler", "release", *wrong) == 2
        assert "or --all" in capsys.readouterr().err


def test_concurrency_is_set(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["PATCH /scheduler/config"] = CONFIG
    assert headway("scheduler", "concurrency", "3") == 0
    assert server.sent("PATCH /scheduler/config").body == {"concurrency": 3}
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["All", "at most 3 at once"]
    assert lines[2] == ["research", "no limit of its own"]


# ---- the end -----------------------------------------------------------------------------------


def test_every_fault_is_named(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    faults = [{"pointer": "/params/a", "message": "give a number"}, {"pointer": "", "message": "x"}]
    server["POST /jobs"] = problem(422, "invalid", "correct the params", errors=faults)
    assert headway("submit", "story") == 2
    assert capsys.readouterr().err == (
        "headway: correct the params\n  /params/a: give a number\n  (whole request): x\n"
    )


@pytest.mark.parametrize(("status", "code"), [(409, 2), (429, 2), (503, 3), (507, 3)])
def test_a_refusal_exits_with_two_and_a_broken_server_with_three(
    server: Server, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    reply = problem(status, "wrong_state", "no")
    reply.headers["Retry-After"] = "5"
    server["GET /jobs/job-1"] = reply
    assert headway("show", "job-1") == code
    assert capsys.readouterr().err == "headway: no\nTry again in 5 s.\n"


def test_no_server_exits_with_three(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("headway.client.session.RETRY_DELAYS_S", (0.0,))
    assert headway("list", "--url", "http://127.0.0.1:9") == 3
    err = capsys.readouterr().err
    assert "headway: no headway server answers at http://127.0.0.1:9: connection refused." in err
    assert "headway serve" in err


@pytest.mark.parametrize("argv", [["log", "job-1"], ["list"]])
def test_a_reader_that_went_away_is_no_error(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
) -> None:
    server["GET /jobs/job-1/log"] = Reply(b"x" * 1_000_000, content_type="text/plain")
    server["GET /jobs"] = {"jobs": [JOB], "next_cursor": None, "counts": {}}
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert headway(*argv) == 141
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        (
            "headway.__main__",
            "httpx pydantic rich trio quart apsw structlog serve web storage actors config",
        ),
        # Quart comes when the port is open.
        ("serve", "quart flask jinja2 werkzeug hypercorn.asyncio httpx"),
    ],
)
def test_a_start_does_not_wait_for_what_comes_later(module: str, heavy: str) -> None:
    code = f"import sys, {module}; print(sorted({{*{heavy.split()}}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "[]\n", done.stderr
