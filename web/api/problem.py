"""Problem documents (RFC 9457): one table from code to status.

Nothing internal leaks: an error that is no `Refusal` becomes `internal`, and is logged.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json

from headway.model.problem import FAULTS_MAX, RETRY_AFTER_S, STATUS, Fault, Refusal

T = TypeVar("T")
PROBLEM_TYPE = "application/problem+json"
FEW = 50
TEXT_MAX = 1_000
_TIME = "give an RFC 3339 date and time with its offset, such as 2031-05-01T08:00:00Z"
ADVICE = {
    "extra_forbidden": "there is no such field: leave it out",
    "missing": "this field is required",
    "model_type": "give a JSON object",
    "dict_type": "give a JSON object",
    "list_type": "give a JSON array",
    "string_type": "give a string",
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
}
"""Messages by pydantic's type of error, where its own names Python's types or is too short."""


def problem_of(refusal: Refusal) -> tuple[int, bytes, dict[str, str]]:
    """(status, body, headers) of a refusal."""
    status, title = STATUS[refusal.code]
    headers = {"Content-Type": PROBLEM_TYPE}
    if (retry_after_s := RETRY_AFTER_S.get(refusal.code)) is not None:
        headers["Retry-After"] = str(retry_after_s)
    return status, _body(refusal.code, title, status, refusal.detail, refusal.faults), headers


def internal_problem() -> tuple[int, bytes, dict[str, str]]:
    """(status, body, headers) after a bug. The log has its details, the document none."""
    body = _body("internal", "Internal server error", 500, "the server's log has the details", ())
    return 500, body, {"Content-Type": PROBLEM_TYPE}


def malformed_problem(status: int) -> tuple[int, bytes, dict[str, str]]:
    """(status, body, headers) for bytes that are no request of HTTP/1.1. `status`: the reason."""
    code, (_, title) = "malformed_request", STATUS["malformed_request"]
    detail = "send HTTP/1.1 (RFC 9112): one Host, one length of the body, a head of at most 64 KiB"
    return status, _body(code, title, status, detail, ()), {"Content-Type": PROBLEM_TYPE}


def checked(adapter: TypeAdapter[T], value: Any, at: str = "") -> T:
    """The value as the adapter's type.

    Raises:
        Refusal: `invalid`, with at most `FAULTS_MAX` faults.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        if error.error_count() <= FAULTS_MAX:
            raise refusal_of(error, at) from None
        wrong = error.error_count()
    # Describing an error costs more than finding it: so only those at the beginning of each part.
    faults = tuple(_faults_of_the_beginning(adapter, value, at))
    raise _refusal(faults or (Fault(at, f"correct {wrong} things in it"),))


def refusal_of(error: ValidationError, at: str = "") -> Refusal:
    """The refusal that lists every fault which pydantic found, each with its place."""
    return _refusal(tuple(_faults(error, at)))


def _refusal(faults: tuple[Fault, ...]) -> Refusal:
    where = ", ".join(fault.pointer or "the body" for fault in faults[:5])
    return Refusal("invalid", f"correct {where}", faults)


def _faults(error: ValidationError, at: str) -> Iterator[Fault]:
    for detail in error.errors(include_url=False, include_context=False)[:FAULTS_MAX]:
        yield Fault(pointer=at + _pointer(detail), message=_advice(detail))


def _faults_of_the_beginning(adapter: TypeAdapter[Any], value: Any, at: str) -> Iterator[Fault]:
    try:
        adapter.validate_python(_beginning(value))
    except ValidationError as error:
        # A field that is missing there may be in the rest.
        missing = ADVICE["missing"]
        yield from (fault for fault in _faults(error, at) if fault.message != missing)


def _beginning(value: Any) -> Any:
    """The first few of each array and object, at every depth."""
    if isinstance(value, dict):
        return {key: _beginning(item) for key, item in islice(value.items(), FEW)}
    if isinstance(value, list):
        return [_beginning(item) for item in value[:FEW]]
    return value


def _body(code: str, title: str, status: int, detail: str, faults: tuple[Fault, ...]) -> bytes:
    problem: dict[str, Any] = {
        "type": f"urn:headway:problem:{code}",
        "title": title,
        "status": status,
        "detail": shortened(detail),
        "code": code,
    }
    if faults:
        problem["errors"] = [
            {"pointer": shortened(f.pointer), "message": shortened(f.message)}
            for f in faults[:FAULTS_MAX]
        ]
    # A refused request may have held anything, and the document must be UTF-8 all the same.
    return to_json(problem, inf_nan_mode="strings")


def shortened(text: str) -> str:
    """The text in valid Unicode and at a limited length: a client's own is repeated to it."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"


def _pointer(detail: ErrorDetails) -> str:
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in detail["loc"]]
    if parts and parts[-1] == "[key]":
        parts.pop()
    return "".join(f"/{part}" for part in parts)


def _advice(detail: ErrorDetails) -> str:
    return ADVICE.get(detail["type"], detail["msg"])
