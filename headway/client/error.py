"""The two exceptions of the client: the server rejected a request, or no server answered.

`ApiError` carries the problem document that the server sent: the table of
`headway.model.problem` read backwards.
"""

from typing import cast

import httpx
from pydantic import ValidationError

from headway.model.problem import STATUS, Code, Fault, Problem, Refusal

_CODE_OF_STATUS: dict[int, Code] = {
    **{status: code for code, (status, _) in reversed(STATUS.items())},
    503: "unavailable",
}
"""For a response without a problem document, as a proxy in between may send it."""


class ApiError(Refusal):
    """The server rejected the request: the HTTP `status`, and `code`, `detail`, `faults`."""

    def __init__(
        self,
        status: int,
        code: Code,
        detail: str,
        faults: tuple[Fault, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, detail, faults)
        self.status = status
        self.retry_after_s = retry_after_s


class ServerUnreachable(Exception):
    """No headway server answered at `url`; `reason` says why, and the message is a sentence."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no headway server answers at {url}: {reason}")
        self.url = url
        self.reason = reason


def error_of(response: httpx.Response) -> ApiError:
    """The error that a response without success represents; its body has been read."""
    status = response.status_code
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        code = _CODE_OF_STATUS.get(status, "unavailable" if status >= 500 else "invalid")
        detail = f"{response.url} answered {status} without a problem document of headway"
        return ApiError(status, code, f"{detail}; does another program listen there?")
    after = response.headers.get("Retry-After", "")
    return ApiError(
        status,
        # A newer server may send a code that this client does not know; it is passed on.
        cast(Code, problem.code),
        problem.detail or problem.title,
        tuple(Fault(fault.pointer, fault.message) for fault in problem.errors),
        float(after) if after.isdecimal() else None,
    )


def reason_of(error: httpx.TransportError) -> str:
    """Why no response arrived, as the end of a sentence."""
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    text = str(error).rpartition("] ")[2]
    return text[:1].lower() + text[1:] or "the connection broke"
