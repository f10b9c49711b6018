"""A server that returns what a test has given for each route, and the command line against it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cyclopts import App

from headway.cli import direct, job_types, jobs, logs, scheduler
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
            return problem(404, "not_found", "there is no such Job")
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


def headway(*argv: str) -> int:
    """The exit status of a command line."""
    app = App(name="headway", result_action="return_value")
    for commands in (jobs, direct, job_types, logs, scheduler):
        commands.register(app)
    try:
        status = app(list(argv))
    except SystemExit as exit_:
        status = exit_.code
    assert isinstance(status, int)
    return status


ENDED = {"finished_at": "2031-05-01T08:01:05Z", "started_at": "2031-05-01T08:00:00Z"}


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
