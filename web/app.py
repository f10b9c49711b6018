"""The app: every operation of the contract, and the guard before them that every request passes."""

from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

import apsw

from actors import messages as m
from storage.errors import Refusal
from web import direct, events, explain, job_types, jobs, legacy, log, scheduler, system
from web.answering import refused
from web.api import Answer, Api
from web.errors import problem_of
from web.express import ASGI, Express, Later, bug
from web.services import Services

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def make_api(services: Services) -> Api:
    """Every operation of the contract."""
    api = Api()
    for module in (jobs, explain, log, legacy, scheduler, direct, job_types, events, system):
        module.register(api, services)
    return api


def make_app(services: Services) -> "Guard":
    """The ASGI app that Hypercorn serves."""
    api, max_body_bytes = make_api(services), services.settings.server.max_body_bytes
    accident = partial(_accident, services)

    def make_rest() -> ASGI:
        from web.rest import make_quart_app

        return make_quart_app(api, max_body_bytes=max_body_bytes, accident=accident)

    rest = Later(make_rest, services.batch_runner)
    express = Express(
        api,
        rest,
        max_body_bytes=max_body_bytes,
        precedence=services.precedence,
        accident=accident,
    )
    return Guard(express, rest, services)


def _accident(services: Services, error: Exception) -> Answer[Any]:
    """What is no refusal: a disk that fails under us, which ends the process, or a bug of ours."""
    if isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
        services.scheduler.tell_nowait(m.StorageBroke(why=f"the database failed: {error}"))
        return refused(Refusal("unavailable", "the database cannot be read: the server ends now"))
    return bug(error)


class Guard:
    """ASGI middleware: Host and Origin are ours, and a draining server says that it closes.

    A page on another site can make a browser send requests here, and a name that resolves to
    127.0.0.1 can make them look local (DNS rebinding). So both are compared on every method.
    """

    def __init__(self, express: Express, rest: Later, services: Services) -> None:
        self.express = express
        self._rest = rest
        self._services = services
        self._names = LOOPBACK_NAMES | frozenset(
            _hostname(name.lower()) for name in services.settings.server.allowed_hosts
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.express(scope, receive, send)
            return
        if (refusal := self._check(scope["raw_path"], scope["headers"])) is not None:
            await _send_problem(send, refusal)
        else:
            await self.express(scope, receive, self._closing(send))

    async def complete(self) -> None:
        """Make what is still missing of the app; requests that need it wait for it."""
        await self._rest.made()

    def at_once(self, scope: Any) -> Callable[[bytes], Awaitable[Answer[Any]]] | None:
        """What answers this request in the task that read it; None: ask `__call__`."""
        if self._services.draining.is_set() or self._check(scope["raw_path"], scope["headers"]):
            return None
        return self.express.at_once(scope)

    def _check(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> Refusal | None:
        hosts = [value for name, value in headers if name == b"host"]
        if b"://" in target and not target.startswith(b"/"):
            # An absolute target's authority counts, not the Host header (RFC 9112, 3.2.2).
            hosts = [target.partition(b"://")[2].partition(b"/")[0]]
        origins = [value for name, value in headers if name == b"origin"]
        host = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
        if _hostname(host) not in self._names:
            return Refusal(
                "bad_host", "the Host header must name this server: 127.0.0.1 or localhost"
            )
        if origins and origins != [f"http://{host}".encode("latin-1")]:
            return Refusal("bad_origin", "a page of another origin may not call this API")
        return None

    def _closing(self, send: Any) -> Any:
        async def closing(message: Any) -> None:
            if message["type"] == "http.response.start" and self._services.draining.is_set():
                headers = [*message["headers"], (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        return closing


@lru_cache(maxsize=128)
def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def _send_problem(send: Any, refusal: Refusal) -> None:
    status, body, headers = problem_of(refusal)
    wire = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    wire += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": wire})
    await send({"type": "http.response.body", "body": body})
