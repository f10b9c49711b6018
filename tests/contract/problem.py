"""Checks of every response: its status is documented, its errors are problem documents."""

import re
from typing import Any

import httpx

CODES = {
    "malformed_request": 400,
    "malformed_json": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "bad_origin": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "wrong_state": 409,
    "gone": 410,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "bad_host": 421,
    "invalid": 422,
    "unknown_type": 422,
    "idempotency_mismatch": 422,
    "queue_full": 429,
    "rate_limited": 429,
    "shutting_down": 503,
    "unavailable": 503,
    "storage_full": 507,
}
RETRY_AFTER = {"queue_full", "rate_limited", "shutting_down", "unavailable"}
Json = dict[str, Any]


def check_problem(response: httpx.Response) -> Json:
    """An error is an RFC 9457 document with a code of the contract, and never a 500."""
    if response.request.method == "HEAD":
        return {}
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert CODES[problem["code"]] == response.status_code == problem["status"], problem
    assert all(isinstance(problem[key], str) for key in ("type", "title", "detail"))
    assert set(problem) <= {"type", "title", "status", "detail", "code", "errors"}
    for fault in problem.get("errors", []):
        assert set(fault) == {"pointer", "message"}
        assert fault["pointer"] == "" or fault["pointer"].startswith("/")
    if problem["code"] in RETRY_AFTER:
        assert int(response.headers["retry-after"]) > 0
    assert isinstance(problem, dict)
    return problem


def documented(document: Json) -> list[tuple[str, re.Pattern[str], set[str]]]:
    """(method, pattern of the path, statuses); literal paths before those with parameters."""
    found = []
    for path, operations in sorted(document["paths"].items(), key=lambda item: "{" in item[0]):
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        for method, operation in operations.items():
            found.append((method.upper(), pattern, set(operation["responses"])))
    return found
