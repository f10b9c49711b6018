"""Refusals, and the problem documents that carry them over HTTP (RFC 9457)."""

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
    """One thing that is wrong with a request: where (a JSON Pointer, RFC 6901) and what to do."""

    pointer: str
    message: str


class Refusal(Exception):
    """A request that is answered with no. `detail` says what the caller can do about it."""

    def __init__(self, code: Code, detail: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.faults = faults

    def anew(self) -> "Refusal":
        """The same to raise: a constant would keep every frame alive that it was raised in."""
        return Refusal(self.code, self.detail, self.faults)


FAULTS_MAX = 100
"""So many faults stand in one problem document."""

STATUS: dict[Code, tuple[int, str]] = {
    "malformed_request": (400, "The request is not valid HTTP"),
    "malformed_json": (400, "The body is not acceptable JSON"),
    "unauthenticated": (401, "Who are you?"),
    "forbidden": (403, "You may not do this"),
    "bad_origin": (403, "Requests from other origins are refused"),
    "not_found": (404, "There is no such thing"),
    "method_not_allowed": (405, "This cannot be done here"),
    "request_timeout": (408, "The request took too long to arrive"),
    "wrong_state": (409, "The thing is in another state"),
    "gone": (410, "This is no longer offered"),
    "precondition_failed": (412, "The thing has changed meanwhile"),
    "too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "The body must be application/json"),
    "range_not_satisfiable": (416, "The range lies outside the file"),
    "bad_host": (421, "The Host header names another server"),
    "invalid": (422, "The request is not valid"),
    "unknown_type": (422, "There is no such job type"),
    "idempotency_mismatch": (422, "The Idempotency-Key was used for another request"),
    "queue_full": (429, "The queue is full"),
    "rate_limited": (429, "Too many requests"),
    "shutting_down": (503, "The server is shutting down"),
    "unavailable": (503, "The server cannot answer at the moment"),
    "storage_full": (507, "The disk is full"),
}
RETRY_AFTER_S: dict[Code, int] = {
    "queue_full": 5,
    "rate_limited": 1,
    "shutting_down": 5,
    "unavailable": 1,
    "storage_full": 30,
}


class ProblemFault(BaseModel):
    """One thing that is wrong: a JSON Pointer (RFC 6901) to it, and what to do."""

    pointer: str
    message: str


class Problem(BaseModel):
    """RFC 9457, with a stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemFault] = []
