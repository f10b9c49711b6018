"""Reject requests by their head alone, before any handler, in one place for every type of scope.

A page on another site can make a browser send requests here, and a name that resolves to 127.0.0.1
can make them look local (DNS rebinding). So the Host, the Origin and what the browser states about
the origin of the request (Fetch Metadata) are checked on every method.
A refusal ends its connection: what follows it there is not read.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from config.authority import host_name
from headway.model.problem import Refusal
from web.api.response import Response, refused

ASGI = Callable[[Any, Any, Any], Awaitable[None]]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
PAGES = frozenset({b"/", b"/docs"})
"""The HTML of this server: a link on another site may lead to it."""

_WATCHED = frozenset(
    (
        *(b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"upgrade"),
        *(b"content-encoding", b"transfer-encoding", b"content-length"),
    )
)
_HARMLESS = frozenset({b"host", b"content-length"})
_ABSOLUTE = re.compile(rb"([a-z][a-z0-9+.-]*)://([^/]*)(/.*)?", re.IGNORECASE | re.DOTALL)

FRAMING = Refusal(
    "malformed_request",
    "give the length of the body once: as Content-Length or, in HTTP/1.1, as Transfer-Encoding",
)
BAD_HOST = Refusal("bad_host", "the Host header must name this server: 127.0.0.1 or localhost")
BAD_ORIGIN = Refusal("bad_origin", "a page of another origin may not call this API")
CODED = Refusal("unsupported_media_type", "send the body as it is, without a Content-Encoding")
NO_WEBSOCKET = Refusal(
    "not_found", "there are no WebSockets here: GET /events is a stream of server-sent events"
)


class Guard:
    """ASGI middleware; `check` is for requests that are answered without ASGI."""

    def __init__(self, app: ASGI, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | set(filter(None, map(host_name, allowed_hosts)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI. Raises for a type of scope that is not HTTP, as ASGI requires."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            raise NotImplementedError(f"headway serves no {kind!r}")
        refusal = self.check(scope)
        if kind == "websocket":
            await _refuse_websocket(scope, send, refusal or _response(NO_WEBSOCKET))
        elif refusal is not None:
            await refusal.send(send, closing=True)
        else:
            await self._app(origin_form(scope), receive, send)

    def check(self, scope: Any) -> Response[Any] | None:
        """The refusal of a request by its head; None: it is acceptable."""
        refusal = self._refusal(scope)
        return None if refusal is None else _response(refusal)

    def _refusal(self, scope: Any) -> Refusal | None:
        seen: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _WATCHED:
                # Several headers of a name are one list (RFC 9110, 5.3), which none here may be.
                seen[name] = seen[name] + b", " + value if name in seen else value
        authority = seen.get(b"host", b"")
        if scope["raw_path"][:1] != b"/" and (absolute := _ABSOLUTE.match(scope["raw_path"])):
            # Its authority counts, not the Host header (RFC 9112, 3.2.2).
            ours = absolute[1].lower() == scope.get("scheme", "http").encode()
            authority = absolute[2] if ours else b""
        if host_name(host := authority.decode("latin-1")) not in self._names:
            return BAD_HOST
        return None if seen.keys() <= _HARMLESS else _check_headers(scope, seen, host.lower())


def _check_headers(scope: Any, seen: dict[bytes, bytes], host: str) -> Refusal | None:
    if b"transfer-encoding" in seen and (
        b"content-length" in seen or scope.get("http_version") == "1.0"
    ):
        return FRAMING  # RFC 9112, 6.1: else a proxy may see another request than we do
    ours = f"http://{host}".encode("latin-1")
    if seen.get(b"origin", ours) != ours:
        return BAD_ORIGIN
    if seen.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin") and not (
        scope["raw_path"] in PAGES
        and scope.get("method") in ("GET", "HEAD")
        and seen.get(b"sec-fetch-mode") == b"navigate"
        and seen.get(b"sec-fetch-dest") == b"document"
    ):
        return BAD_ORIGIN
    if seen.get(b"content-encoding", b"identity").lower() != b"identity":
        return CODED
    if b"websocket" in seen.get(b"upgrade", b"").lower():
        return NO_WEBSOCKET
    return None


def origin_form(scope: Any) -> Any:
    """The same scope, with the path alone as its target (RFC 9112, 3.2.1)."""
    if scope["raw_path"][:1] == b"/" or not (found := _ABSOLUTE.fullmatch(scope["raw_path"])):
        return scope
    begin = len(found[0]) - len(found[3] or b"")
    path = scope["path"][begin:] or "/"
    return {**scope, "path": path, "raw_path": found[3] or b"/"}


async def _refuse_websocket(scope: Any, send: Any, response: Response[Any]) -> None:
    if (kind := "websocket.http.response") in scope.get("extensions", ()):
        await response.send(send, closing=True, kind=kind)
    else:
        await send({"type": "websocket.close"})  # the server's own 403


def _response(refusal: Refusal) -> Response[Any]:
    response = refused(refusal)
    if refusal is CODED:
        response.headers["Accept-Encoding"] = "identity"  # RFC 9110, 15.5.16
    return response
