"""The app: every operation of the contract, behind the guard that every request passes."""

from functools import partial
from typing import Any

import apsw

from actors import messages as m
from headway.model.problem import Refusal
from web.api.capacity import PERMIT, Streams
from web.api.guard import Guard
from web.api.response import Response, refused
from web.api.router import ASGI, AnswerBody, Express, Later, bug
from web.api.routes import Routes
from web.context import Context
from web.resources import (
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

MODULES = (jobs, explanations, logs, legacy, scheduler, direct, job_types, events, system, metrics)


def make_routes(context: Context) -> Routes:
    """Every operation of the contract."""
    routes = Routes(context.body_runner)
    for module in MODULES:
        module.register(routes, context)
    return routes


def make_app(context: Context) -> "App":
    """The ASGI app that Hypercorn serves."""
    routes, max_body_bytes = make_routes(context), context.settings.server.max_body_bytes
    accident = partial(_accident, context)

    def make_rest() -> ASGI:
        from web.api.quart_app import make_quart_app

        return make_quart_app(routes, max_body_bytes=max_body_bytes, accident=accident)

    rest = Later(make_rest, context.batch_runner)
    express = Express(
        routes,
        rest,
        max_body_bytes=max_body_bytes,
        request_priority=context.request_priority,
        accident=accident,
    )
    return App(express, rest, context)


def _accident(context: Context, error: Exception) -> Response[Any]:
    """What is no refusal: a disk that fails under us, which ends the process, or a bug of ours."""
    if isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
        context.scheduler.tell_nowait(m.StorageBroke(why=f"the database failed: {error}"))
        return refused(Refusal("unavailable", "the database cannot be read: the server ends now"))
    return bug(error)


class App:
    """What the server serves: ASGI, and `at_once` for requests that need less."""

    def __init__(self, express: Express, rest: Later, context: Context) -> None:
        self._express = express
        self._rest = rest
        self._is_draining = context.draining.is_set
        hosts = context.settings.server.allowed_hosts
        self._guard = Guard(express, hosts, self._is_draining)
        server = context.settings.server
        self._streams = Streams(server.max_streams, server.max_streams_per_address)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        with self._streams.permit(scope.get("client")) as permit:
            await self._guard({**scope, PERMIT: permit}, receive, send)

    async def complete(self) -> None:
        """Make what is still missing of the app; requests that need it wait for it."""
        await self._rest.made()

    def at_once(self, scope: Any) -> AnswerBody | None:
        """What answers this request in the task that read it; None: ask `__call__`."""
        if self._is_draining() or self._guard.check(scope):
            return None
        return self._express.at_once(scope)
