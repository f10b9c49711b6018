"""One request as the typed layer sees it: the same, whether Quart or `web/express.py` brings it."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs


class Call:
    """One request. `read_body` is asked at most once."""

    __slots__ = ("_body", "_headers", "_query", "_read_body", "method", "path")

    def __init__(self, scope: Any, read_body: Callable[[], Awaitable[bytes]]) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._query: bytes = scope["query_string"]
        self._read_body = read_body
        self._body: bytes | None = None

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        wanted = name.lower().encode("latin-1")
        for key, value in self._headers:
            if key == wanted:
                return value.decode("latin-1")
        return None

    def query(self) -> dict[str, list[str]]:
        """Every parameter of the query string, with each of its values."""
        if not self._query:
            return {}
        return parse_qs(self._query.decode("latin-1"), keep_blank_values=True)

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            Refusal: `too_large`, or `request_timeout`.
        """
        if self._body is None:
            self._body = await self._read_body()
        return self._body
