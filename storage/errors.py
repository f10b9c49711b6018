"""The ways in which headway says no.

A `Refusal` is an answer, not an accident: it has a stable `code` of the contract, travels back
through the ask that caused it, and leaves the database as it was. What each code means over HTTP
stands in `web/errors.py`; nothing here knows of HTTP.

`StorageFailed` is the other kind: the outcome of a commit is unknown, and the only honest next
step is to stop the process and let the next start decide by fact.
"""

from dataclasses import dataclass
from typing import Literal, get_args

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


class StorageFailed(Exception):
    """The disk failed under a commit, so nobody knows whether it holds: the process must end."""


class DataDirectoryInUse(Exception):
    """Another server holds the data directory; the message names its process."""


class ExposedDirectory(Exception):
    """Others own the data directory or may enter it; the message has the command that helps."""


class OlderDatabase(Exception):
    """The database was written by an older headway, and only a server brings it up to date."""


class NewerDatabase(Exception):
    """The database was written by a newer headway and was left untouched."""


class DamagedDatabase(Exception):
    """SQLite found faults in the file, and it was left untouched; the message names the pages."""
