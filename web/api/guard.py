"""Before every handler: what may not be asked here is refused, whatever kind of request it is.

A page on another site can make a browser send requests here, and a name that resolves to 127.0.0.1
can make them look local (DNS rebinding). So the Host, the Origin and the browser's own word on who
asks (Fetch Metadata) are compared on every method, in one place for every type of ASGI scope.
Refusals end their connection: what follows them on it is not looked at.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from config.authority import host_name
from headway.model.problem import Refusal
from web.api.problem import malformed_problem, problem_of

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
NO_STORE = (b"cache-control", b"no-store")


class Guard:
    """ASGI middleware. A draining server also says that it closes the connection."""

    def __init__(
        self, app: ASGI, allowed_hosts: Iterable[str], is_draining: Callable[[], bool]
    ) -> None:
        self._app = app
        self._is_draining = is_draining
        self._names = LOOPBACK_NAMES | set(filter(None, map(host_name, allowed_hosts)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI. Raises for a type of scope that is not HTTP, as ASGI wants for what is unknown."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            raise NotImplementedError(f"headway serves no {kind!r}")
        refusal = self.check(scope)
        if kind == "websocket":
            await _refuse_websocket(scope, send, refusal or NO_WEBSOCKET)
        elif refusal is not None:
            await _send_problem(send, refusal, "http.response")
        else:
            await self._app(_origin_form(scope), receive, self._completing(send))

    def check(self, scope: Any) -> Refusal | None:
        """Why the request is refused by its head alone; None: it is not."""
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
        return None if seen.keys() <= _HARMLESS else _check_rest(scope, seen, host.lower())

    def _completing(self, send: Any) -> Any:
        """Nothing that the API answers is stored; files that say how they may be are."""

        async def completing(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append(NO_STORE)
                if self._is_draining():
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            await send(message)

        return completing


def _check_rest(scope: Any, seen: dict[bytes, bytes], host: str) -> Refusal | None:
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


def _origin_form(scope: Any) -> Any:
    """The scope as if its target had been a path alone."""
    if scope["raw_path"][:1] == b"/" or not (found := _ABSOLUTE.fullmatch(scope["raw_path"])):
        return scope
    begin = len(found[0]) - len(found[3] or b"")
    path = scope["path"][begin:] or "/"
    return {**scope, "path": path, "raw_path": found[3] or b"/"}


def malformed(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of the answer to what h11 takes for no request: 400, 431 or 501."""
    _, body, headers = malformed_problem(status)
    return _closing_headers(headers, body), body


async def _refuse_websocket(scope: Any, send: Any, refusal: Refusal) -> None:
    if (kind := "websocket.http.response") in scope.get("extensions", ()):
        await _send_problem(send, refusal, kind)
    else:
        await send({"type": "websocket.close"})  # the server's own 403


async def _send_problem(send: Any, refusal: Refusal, kind: str) -> None:
    status, body, headers = problem_of(refusal)
    if refusal is CODED:
        headers["Accept-Encoding"] = "identity"  # RFC 9110, 15.5.16
    wire = _closing_headers(headers, body)
    await send({"type": f"{kind}.start", "status": status, "headers": wire})
    await send({"type": f"{kind}.body", "body": body})


def _closing_headers(headers: dict[str, str], body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        NO_STORE,
    ]
