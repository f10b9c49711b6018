"""The app: every operation of the contract, behind the guard that every request passes.

A request takes one of two paths. What waits for nothing but the disk is answered in the task that
reads its connection; everything else, with a whole body, goes to Quart.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import apsw
import trio

from actors import messages as m
from actors.host.process_tree import SCARCE
from headway.model.problem import Refusal
from storage.database import Runner
from web.api.capacity import PERMIT, Streams
from web.api.guard import ASGI, Guard, origin_form
from web.api.request import Request
from web.api.response import Response, internal_error, refused
from web.api.router import Router
from web.api.routes import Route, Routes
from web.api.static_files import Page
from web.context import Context
from web.json.size import Text as Body
from web.resources import (
    artifacts,
    direct,
    events,
    explanations,
    job_types,
    jobs,
    legacy,
    logs,
    metrics,
    scheduler,
    system,
)
from web.server.request_cycle import Accepted, Respond

MODULES = (
    jobs,
    artifacts,
    explanations,
    logs,
    legacy,
    scheduler,
    direct,
    job_types,
    events,
    system,
    metrics,
)
MAKE_AGAIN_S = 0.5


def make_routes(context: Context) -> Routes:
    """Every operation of the contract."""
    routes = Routes(context.body_runner)
    for module in MODULES:
        module.register(routes, context)
    return routes


def make_app(context: Context) -> "App":
    """The app that the server serves."""
    page = Page()
    router = Router([*make_routes(context), *page.routes()], partial(_failed, context))

    def make_quart_app() -> ASGI:
        from web.api.quart_app import QuartApp

        assert page.files
        return QuartApp(router, context.draining.is_set)

    return App(router, LazyApp(make_quart_app, context.batch_runner), context)


def _failed(context: Context, error: Exception) -> Response[Any]:
    """The response to a failing disk, which also ends the process, or to a bug."""
    if isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
        context.scheduler.tell_nowait(m.StorageBroke(why=f"the database failed: {error}"))
        return refused(Refusal("unavailable", "the database cannot be read: the server ends now"))
    return internal_error(error)


class App:
    """What the server serves: `accept` for the head of each request, and ASGI."""

    def __init__(self, router: Router, quart_app: "LazyApp", context: Context) -> None:
        server = context.settings.server
        self._router = router
        self._quart_app = quart_app
        self._guard = Guard(quart_app, server.allowed_hosts)
        self._streams = Streams(server.max_streams, server.max_streams_per_address)
        self._max_body_bytes = server.max_body_bytes
        self._request_priority = context.request_priority

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI: the path through Quart."""
        with self._streams.permit(scope.get("client")) as permit:
            await self._guard({**scope, PERMIT: permit}, receive, send)

    async def complete(self) -> None:
        """Make what is still missing of the app; requests that need it wait for it."""
        await self._quart_app.made()

    def accept(self, scope: Any) -> Accepted | Response[Any]:
        """What the connection is to do with a request, by its head; a response rejects it."""
        if (refusal := self._guard.check(scope)) is not None:
            return refusal
        scope = origin_form(scope)
        found = self._router.find(scope["method"], scope["path"])
        if isinstance(found, Response):
            # A body would be read for nothing: the connection ends instead.
            return found if _has_body(scope) else Accepted(0, _responding(found))
        route, _ = found
        most_bytes = min(self._max_body_bytes, route.body_bytes_max)
        if not route.is_immediate or scope["method"] != route.method or _may_wait(scope, route):
            return Accepted(most_bytes)
        # A batch takes long itself, and gives way to other requests.
        priority = nullcontext() if route.takes_batch else self._request_priority

        async def respond(body: Body) -> Response[Any]:
            with priority:
                return await self._router.run(found, Request(scope, body))

        return Accepted(most_bytes, respond)


def _may_wait(scope: Any, route: Route) -> bool:
    """Whether it may be a request that waits (`Prefer: wait`), which nothing does for a batch."""
    return not route.takes_batch and any(name == b"prefer" for name, _ in scope["headers"])


def _has_body(scope: Any) -> bool:
    framing = (b"content-length", b"transfer-encoding")
    return any(name in framing for name, _ in scope["headers"])


def _responding(response: Response[Any]) -> Respond:
    async def respond(body: Body) -> Response[Any]:
        return response

    return respond


class LazyApp:
    """An ASGI app that is made on a thread, once, when it is first needed."""

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
                    # A file that it imports or serves cannot be opened now.
                    if error.errno not in SCARCE:
                        raise
                    await trio.sleep(MAKE_AGAIN_S)
            return self._app
