"""One request with its whole body, the same on both request paths."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from headway.model.problem import Refusal
from web.api.capacity import take_stream
from web.json.size import Text as Body

QUERY_FIELDS_MAX = 200
WAIT_S_MAX = 60


class Request:
    """The head of a request, from its ASGI scope, and its body."""

    __slots__ = ("_headers", "_query", "_scope", "body", "method", "path")

    def __init__(self, scope: Any, body: Body = b"") -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.body = body
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(self._headers) < len(scope["headers"]):
            self._headers = _joined(scope["headers"])
        self._query: bytes = scope["query_string"]
        self._scope = scope

    def take_stream(self) -> None:
        """Count it among the requests that hold a connection for long, until its response ends.

        Raises:
            Refusal: `rate_limited`.
        """
        take_stream(self._scope)

    def header(self, name: bytes) -> str | None:
        """The value of a header. `name`: in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def has_body(self) -> bool:
        """Whether a body follows the head (RFC 9112, 6.3)."""
        return b"content-length" in self._headers or b"transfer-encoding" in self._headers

    def query(self) -> dict[str, list[str]]:
        """Every parameter of the query string, with each of its values.

        Raises:
            Refusal: `invalid`, when there are more than `QUERY_FIELDS_MAX`.
        """
        if not self._query:
            return {}
        text = self._query.decode("latin-1")
        if text.count("&") >= QUERY_FIELDS_MAX:
            raise Refusal("invalid", f"give at most {QUERY_FIELDS_MAX} parameters in a query")
        return parse_qs(text, keep_blank_values=True)


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Several headers of one name as the list that they form (RFC 9110, 5.3)."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = b"%b, %b" % (joined[name], value) if name in joined else value
    return joined


def wait_preference(prefer: str | None) -> int | None:
    """N of `Prefer: wait=N` (RFC 7240); other preferences are ignored, as the RFC says."""
    if prefer is None or not (match := re.search(r"(?:^|[,;\s])wait=(\d{1,9})", prefer)):
        return None
    return min(int(match[1]), WAIT_S_MAX)
