"""A Job and a run as a server would return them, for clients that have no server."""

from typing import Any


def job(status: str = "QUEUED", **changes: Any) -> dict[str, Any]:
    return {
        "job_id": "job-1",
        "type": "story",
        "status": status,
        "params": {},
        "priority": 0,
        "position": 1,
        "name": None,
        "labels": {},
        "run_at": None,
        "expires_at": None,
        "timeout_s": None,
        "retry_of": None,
        "origin": "api",
        "created_at": "2031-05-01T08:00:00Z",
        "started_at": None,
        "finished_at": None,
        "duration_s": None,
        "progress": None,
        "reason": None,
        "version": 1,
    } | changes


def run(**changes: Any) -> dict[str, Any]:
    return {
        "run_id": "run-1",
        "job_id": "job-1",
        "type": "story",
        "status": "COMPLETED",
        "params_snapshot": {},
        "argv": ["true"],
        "pid": 7,
        "started_at": "2031-05-01T08:00:00Z",
        "finished_at": "2031-05-01T08:00:01Z",
        "duration_s": 1.0,
        "exit_code": 0,
        "signal": None,
        "error": None,
        "result": {"written": 3},
        "artifacts": [],
        "collection": {"complete": True, "reason": None},
        "log": {"bytes": 0, "truncated": False},
        "left": {"processes": 0, "killed": 0},
    } | changes
