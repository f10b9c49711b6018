"""The app: every operation of the contract, behind the guard that every request passes."""

from functools import partial
from typing import Any

import apsw

from actors import messages as m
from headway.model.problem import Refusal
from web.api.capacity import PERMIT, Streams
from web.api.endpoint import refused
from web.api.guard import Guard
from web.api.router import ASGI, AnswerBody, Express, Later, bug
from web.api.routes import Answer, Api
from web.context import Services
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


def make_api(services: Services) -> Api:
    """Every operation of the contract."""
    api = Api(services.body_runner)
    for module in MODULES:
        module.register(api, services)
    return api


def make_app(services: Services) -> "App":
    """The ASGI app that Hypercorn serves."""
    api, max_body_bytes = make_api(services), services.settings.server.max_body_bytes
    accident = partial(_accident, services)

    def make_rest() -> ASGI:
        from web.api.quart_app import make_quart_app

        return make_quart_app(api, max_body_bytes=max_body_bytes, accident=accident)

    rest = Later(make_rest, services.batch_runner)
    express = Express(
        api,
        rest,
        max_body_bytes=max_body_bytes,
        precedence=services.precedence,
        accident=accident,
    )
    return App(express, rest, services)


def _accident(services: Services, error: Exception) -> Answer[Any]:
    """What is no refusal: a disk that fails under us, which ends the process, or a bug of ours."""
    if isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
        services.scheduler.tell_nowait(m.StorageBroke(why=f"the database failed: {error}"))
        return refused(Refusal("unavailable", "the database cannot be read: the server ends now"))
    return bug(error)


class App:
    """What the server serves: ASGI, and `at_once` for requests that need less."""

    def __init__(self, express: Express, rest: Later, services: Services) -> None:
        self._express = express
        self._rest = rest
        self._is_draining = services.draining.is_set
        hosts = services.settings.server.allowed_hosts
        self._guard = Guard(express, hosts, self._is_draining)
        server = services.settings.server
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
