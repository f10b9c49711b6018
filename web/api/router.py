"""Answers JSON operations straight from ASGI; everything else goes to Quart.

Quart's dispatch costs more than a whole `POST /jobs` without it (`python -m bench submit`). What it
is good at stays with it: streams, handlers that wait and must end when the client goes, paths that
do not exist, methods that a path has not.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import structlog
import trio

from actors.host.process_tree import SCARCE
from headway.model.problem import Refusal
from storage.database import Runner
from web.api.endpoint import answer
from web.api.problem import internal_problem
from web.api.request import Request
from web.api.response import Response
from web.api.routes import Route, Routes

ASGI = Callable[[Any, Any, Any], Awaitable[None]]
AnswerBody = Callable[[bytes | bytearray], Awaitable[Response[Any]]]
"""Answers a request whose head is known, given its body."""
BODY_TIMEOUT_S = 30
MAKE_AGAIN_S = 0.5
TOO_LARGE = Refusal("too_large", "send less, or in several requests")
TOO_SLOW = Refusal("request_timeout", f"the body must arrive within {BODY_TIMEOUT_S} seconds")

logger = structlog.get_logger()


class Gone(Exception):
    """The client went away before its request was whole."""


class Later:
    """An ASGI app that is made on a thread, once, when it is wanted."""

    def __init__(self, make: Callable[[], ASGI], runner: Runner) -> None:
        self._make = make
        self._runner = runner
        self._lock = trio.Lock()
        self._app: ASGI | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        await (self._app or await self.made())(scope, receive, send)

    async def made(self) -> ASGI:
        """The app."""
        async with self._lock:
            while self._app is None:
                try:
                    self._app = await self._runner.run(self._make)
                except OSError as error:
                    # What it imports cannot be opened now.
                    if error.errno not in SCARCE:
                        raise
                    await trio.sleep(MAKE_AGAIN_S)
            return self._app


class Express:
    """ASGI app: the routes that answer at once, before another app."""

    def __init__(
        self,
        routes: Routes,
        otherwise: ASGI,
        *,
        max_body_bytes: int,
        request_priority: AbstractContextManager[None] | None = None,
        accident: Callable[[Exception], Response[Any]] | None = None,
    ) -> None:
        self._otherwise = otherwise
        self._accident = accident or bug
        self._max_body_bytes = max_body_bytes
        self._request_priority = request_priority or nullcontext()
        self._routes: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        for route in routes:
            if route.at_once:
                parts = route.path.split("/")
                self._routes.setdefault((route.method, len(parts)), []).append((parts, route))
        for candidates in self._routes.values():
            candidates.sort(key=lambda candidate: candidate[1].path.count("{"))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if scope["type"] != "http" or (found := self._find(scope)) is None:
            await self._otherwise(scope, receive, send)
            return
        most = min(self._max_body_bytes, found[0].body_bytes_max)
        request = Request(scope, lambda: self._read_body(request, receive, most))
        with suppress(Gone):
            await respond(send, await self._answer(*found, request))

    def at_once(self, scope: Any) -> AnswerBody | None:
        """For `exchange.py`: what answers this request, if its body has a size that we take."""
        length = b"0"
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"transfer-encoding":
                return None
        if int(length) > self._max_body_bytes or (found := self._find(scope)) is None:
            return None
        route, path = found
        if int(length) > route.body_bytes_max:
            return None
        # A batch is long itself, and is what others go before.
        first = (
            nullcontext()
            if route.body is not None and route.body.unread
            else self._request_priority
        )

        async def answer_first(body: bytes | bytearray) -> Response[Any]:
            with first:
                return await self._answer(route, path, Request(scope, body=body))

        return answer_first

    async def _answer(self, route: Route, path: dict[str, str], request: Request) -> Response[Any]:
        try:
            done = await answer(route, request, path)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged there
            done = self._accident(error)
        return done

    def _find(self, scope: Any) -> tuple[Route, dict[str, str]] | None:
        if b"%" in scope["raw_path"]:
            return None
        parts = scope["path"].split("/")
        for pattern, route in self._routes.get((scope["method"], len(parts)), ()):
            if (path := _matched(pattern, parts)) is not None:
                # `Prefer: wait` is a handler that waits. Nothing waits for a batch.
                may_wait = route.body is None or not route.body.unread
                if may_wait and any(name == b"prefer" for name, _ in scope["headers"]):
                    return None
                return route, path
        return None

    async def _read_body(self, request: Request, receive: Any, most: float) -> bytearray:
        if int(request.header(b"content-length") or 0) > most:
            raise TOO_LARGE.anew()
        body = bytearray()
        with trio.move_on_after(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body += message.get("body", b"")
                if len(body) > most:
                    raise TOO_LARGE.anew()
                if not message.get("more_body", False):
                    return body
        raise TOO_SLOW.anew()


def bug(error: Exception) -> Response[Any]:
    """The answer where something is wrong with headway itself."""
    logger.error("request failed", exc_info=error)
    status, body, headers = internal_problem()
    return Response(status=status, body=body, headers=headers)


async def respond(send: Any, done: Response[Any]) -> None:
    """Send a finished answer."""
    assert done.body is not None
    headers = [(b"content-length", b"%d" % len(done.body))]
    headers += [(name.lower().encode(), value.encode()) for name, value in done.headers.items()]
    await send({"type": "http.response.start", "status": done.status, "headers": headers})
    await send({"type": "http.response.body", "body": done.body})


def _matched(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    path: dict[str, str] = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted[:1] == "{":
            if not part:
                return None
            path[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return path
