"""One request as the typed layer sees it, whichever path it took: Quart's or the router's."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from headway.model.problem import Refusal
from web.api.capacity import take_stream
from web.json.size import Text as Body

QUERY_FIELDS_MAX = 200


class Request:
    """One request, with its body, or else with `read_body`, which is asked at most once."""

    __slots__ = ("_body", "_headers", "_query", "_read_body", "_scope", "method", "path")

    def __init__(
        self,
        scope: Any,
        read_body: Callable[[], Awaitable[Body]] | None = None,
        body: Body | None = None,
    ) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(self._headers) < len(scope["headers"]):
            self._headers = _joined(scope["headers"])
        self._query: bytes = scope["query_string"]
        self._read_body = read_body
        self._body = body
        self._scope = scope

    def take_stream(self) -> None:
        """Count it among what takes a connection for long, until its answer has ended.

        Raises:
            Refusal: `rate_limited`.
        """
        take_stream(self._scope)

    def header(self, name: bytes) -> str | None:
        """The header of this name, which is given in lower case."""
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

    async def body(self) -> Body:
        """The whole body.

        Raises:
            Refusal: `too_large`, or `request_timeout`.
        """
        if self._body is None:
            assert self._read_body is not None
            self._body = await self._read_body()
        return self._body


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Several headers of a name are one list (RFC 9110, 5.3): none of them is passed over."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = b"%b, %b" % (joined[name], value) if name in joined else value
    return joined
