"""The Quart app, and the guard before it that every request passes."""

from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

import apsw
from quart import Quart, Response, current_app, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from actors import messages as m
from storage.errors import Code, Refusal
from web import direct, events, explain, job_types, jobs, legacy, log, scheduler, system
from web.answering import answer, refused
from web.api import Answer, Api, Route
from web.call import Call
from web.errors import problem_of
from web.express import BODY_TIMEOUT_S, TOO_LARGE, TOO_SLOW, Express, bug
from web.page import mount_page
from web.services import Services

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HTTP_CODES: dict[int, Code] = {
    400: "malformed_json",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    415: "unsupported_media_type",
}
REFUSALS: dict[Code, Refusal] = {
    refusal.code: refusal
    for refusal in (
        Refusal("not_found", "there is nothing at this path: GET /docs shows what there is"),
        Refusal("method_not_allowed", "this path has other methods: GET /docs shows which"),
        TOO_LARGE,
        TOO_SLOW,
    )
}


def make_api(services: Services) -> Api:
    """Every operation of the contract."""
    api = Api()
    for module in (jobs, explain, log, legacy, scheduler, direct, job_types, events, system):
        module.register(api, services)
    return api


def make_app(services: Services) -> "Guard":
    """The ASGI app that Hypercorn serves."""
    api, max_body_bytes = make_api(services), services.settings.server.max_body_bytes
    app = QuartTrio("web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.config["BODY_TIMEOUT"] = BODY_TIMEOUT_S
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    mount(api, app)
    mount_page(app)
    app.register_error_handler(HTTPException, _http_error)
    accident = partial(_accident, services)

    async def failed(error: Exception) -> Response:
        return _response(accident(error))

    app.register_error_handler(Exception, failed)
    express = Express(api, app, max_body_bytes=max_body_bytes, accident=accident)
    return Guard(express, services)


def mount(api: Api, app: Quart) -> None:
    """Put every route on the app."""
    for route in api.routes:
        app.add_url_rule(
            route.path.replace("{", "<").replace("}", ">").replace("<name>", "<path:name>"),
            endpoint=f"{route.method} {route.path}",
            view_func=_view(route),
            methods=[route.method],
            provide_automatic_options=False,
        )


def _view(route: Route) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        result = await answer(route, Call(request.scope, _read_body), path)
        return result if isinstance(result, Response) else _response(result)

    return view


async def _read_body() -> bytes:
    body = await request.get_data()
    assert isinstance(body, bytes)
    return body


def _response(done: Answer[Any]) -> Response:
    return Response(done.body, status=done.status, headers=done.headers)


async def _http_error(error: HTTPException) -> Response:
    code = HTTP_CODES.get(error.code or 500, "invalid")
    refusal = REFUSALS.get(code) or Refusal(code, error.description or "")
    response = _response(refused(refusal))
    if error.code == 405:
        response.headers["Allow"] = ", ".join(sorted(_allowed(error)))
    return response


def _allowed(error: HTTPException) -> set[str]:
    """The methods of the path: of the fixed one, where a pattern like /jobs/{job_id} fits too."""
    rules = current_app.url_map.iter_rules()
    fixed = set().union(*(rule.methods or () for rule in rules if rule.rule == request.path))
    return fixed or set(getattr(error, "valid_methods", None) or ())


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

    def __init__(self, express: Express, services: Services) -> None:
        self.express = express
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
