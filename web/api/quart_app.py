"""What Quart serves: streams, handlers that wait, the page, and requests that nothing is there for.

Imported when the port is open: Quart and what it brings along are a quarter of a start.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from quart import Quart, current_app
from quart import Response as QuartResponse
from quart import request as quart_request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from headway.model.problem import Code, Refusal
from web.api.endpoint import answer
from web.api.request import Request
from web.api.response import Response, refused
from web.api.router import BODY_TIMEOUT_S, TOO_LARGE, TOO_SLOW
from web.api.routes import Route, Routes
from web.api.static_files import mount_page
from web.json.size import BODY_BYTES_MAX

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


def make_quart_app(
    routes: Routes, *, max_body_bytes: int, accident: Callable[[Exception], Response[Any]]
) -> QuartTrio:
    """Every operation, and the page."""
    app = QuartTrio("web", static_folder=None)
    # A batch never comes here.
    app.config["MAX_CONTENT_LENGTH"] = min(max_body_bytes, BODY_BYTES_MAX)
    app.config["BODY_TIMEOUT"] = BODY_TIMEOUT_S
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    mount(routes, app)
    mount_page(app)
    app.register_error_handler(HTTPException, _http_error)

    async def failed(error: Exception) -> QuartResponse:
        return _response(accident(error))

    app.register_error_handler(Exception, failed)
    return app


def mount(routes: Routes, app: Quart) -> None:
    """Put every route on the app."""
    for route in routes:
        app.add_url_rule(
            route.path.replace("{", "<").replace("}", ">").replace("<name>", "<path:name>"),
            endpoint=f"{route.method} {route.path}",
            view_func=_view(route),
            methods=[route.method],
            provide_automatic_options=False,
        )


def _view(route: Route) -> Callable[..., Awaitable[QuartResponse]]:
    async def view(**path: str) -> QuartResponse:
        return _response(await answer(route, Request(quart_request.scope, _read_body), path))

    return view


async def _read_body() -> bytes:
    body = await quart_request.get_data()
    assert isinstance(body, bytes)
    return body


def _response(done: Response[Any]) -> QuartResponse:
    if done.pieces is None:
        response = QuartResponse(done.body, status=done.status, headers=done.headers)
        if quart_request.method == "HEAD" and not done.body:
            # That of what a GET would send, if it is known (RFC 9110, 8.6).
            del response.headers["Content-Length"]
            response.headers.extend(
                {name: text for name, text in done.headers.items() if name == "Content-Length"}
            )
        return response
    response = QuartResponse(done.pieces, status=done.status, headers=done.headers)
    response.timeout = None  # pieces come for as long as they do
    return response


async def _http_error(error: HTTPException) -> QuartResponse:
    code = HTTP_CODES.get(error.code or 500, "invalid")
    refusal = REFUSALS.get(code) or Refusal(code, error.description or "")
    response = _response(refused(refusal))
    if error.code == 405:
        response.headers["Allow"] = ", ".join(sorted(_allowed(error)))
    return response


def _allowed(error: HTTPException) -> set[str]:
    """The methods of the path: of the fixed one, where a pattern like /jobs/{job_id} fits too."""
    rules = current_app.url_map.iter_rules()
    fixed = set().union(*(rule.methods or () for rule in rules if rule.rule == quart_request.path))
    return fixed or set(getattr(error, "valid_methods", None) or ())
