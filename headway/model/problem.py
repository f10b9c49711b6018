"""Refusals, and the problem documents that represent them over HTTP (RFC 9457)."""

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel

Code = Literal[
    "malformed_request",
    "malformed_json",
    "unauthenticated",
    "forbidden",
    "bad_host",
    "bad_origin",
    "not_found",
    "method_not_allowed",
    "wrong_state",
    "gone",
    "precondition_failed",
    "too_large",
    "unsupported_media_type",
    "range_not_satisfiable",
    "invalid",
    "unknown_type",
    "idempotency_mismatch",
    "queue_full",
    "rate_limited",
    "request_timeout",
    "shutting_down",
    "unavailable",
    "storage_full",
]
CODES: tuple[str, ...] = get_args(Code)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a request: a JSON Pointer (RFC 6901) to it, and how to correct it."""

    pointer: str
    message: str


class Refusal(Exception):
    """A rejected request. `detail` says what the caller can do about it."""

    def __init__(self, code: Code, detail: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.faults = faults

    def anew(self) -> "Refusal":
        """A copy to raise: a constant would keep every frame alive that it was raised in."""
        return Refusal(self.code, self.detail, self.faults)


FAULTS_MAX = 100
"""The most faults in one problem document."""

STATUS: dict[Code, tuple[int, str]] = {
    "malformed_request": (400, "Bad request"),
    "malformed_json": (400, "Malformed JSON"),
    "unauthenticated": (401, "Authentication required"),
    "forbidden": (403, "Forbidden"),
    "bad_origin": (403, "Origin not allowed"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "request_timeout": (408, "Request timeout"),
    "wrong_state": (409, "Wrong state"),
    "gone": (410, "Gone"),
    "precondition_failed": (412, "Precondition failed"),
    "too_large": (413, "Content too large"),
    "unsupported_media_type": (415, "Unsupported media type"),
    "range_not_satisfiable": (416, "Range not satisfiable"),
    "bad_host": (421, "Misdirected request"),
    "invalid": (422, "Invalid request"),
    "unknown_type": (422, "Unknown job type"),
    "idempotency_mismatch": (422, "Idempotency key reused"),
    "queue_full": (429, "Queue full"),
    "rate_limited": (429, "Too many requests"),
    "shutting_down": (503, "Server shutting down"),
    "unavailable": (503, "Service unavailable"),
    "storage_full": (507, "Insufficient storage"),
}
RETRY_AFTER_S: dict[Code, int] = {
    "queue_full": 5,
    "rate_limited": 1,
    "shutting_down": 5,
    "unavailable": 1,
    "storage_full": 30,
}


class ProblemFault(BaseModel):
    """One fault of the request: a JSON Pointer (RFC 6901) to it, and how to correct it."""

    pointer: str
    message: str


class Problem(BaseModel):
    """A problem document (RFC 9457) with a stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemFault] = []
