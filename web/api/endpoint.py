"""Validate arguments, call the handler, serialise its result."""

from typing import Any

from headway.model.problem import Fault, Refusal
from web.api.problem import checked
from web.api.request import Request
from web.api.response import Response, refused
from web.api.routes import JSON, KEY, Body, Query, Route, RouteParameter, Unread
from web.json.size import is_light_text

EMPTY_BYTES_MAX = 100
"""The size of an empty object, with its white space."""


async def respond(route: Route, request: Request, path: dict[str, str]) -> Response[Any]:
    """The response of the route's handler, with its status, and its body or the pieces of one."""
    try:
        result = await route.handler(**await _arguments(route, request, path))
        if isinstance(result, Response) and result.pieces is not None:
            if request.method == "HEAD":
                result.pieces = None  # they may never end
            else:
                request.take_stream()
    except Refusal as refusal:
        return refused(refusal)
    response = result if isinstance(result, Response) else Response(result)
    if response.status is None:
        response.status = route.status
    if route.result is not None:
        if response.body is None:
            response.body = route.result.dump_json(response.value)
        response.headers.setdefault("Content-Type", JSON)
    return response


async def _arguments(route: Route, request: Request, path: dict[str, str]) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(path)
    query = request.query()
    # A GET without parameters may carry any: some clients add a time, so that nothing is cached.
    if not route.queries.issuperset(query) and (route.queries or route.method != "GET"):
        unknown = sorted(set(query) - route.queries)
        faults = tuple(Fault(f"/{name}", "there is no such parameter") for name in unknown)
        known = ", ".join(sorted(route.queries)) or "no parameters in a query"
        raise Refusal("invalid", f"it takes {known}", faults)
    if route.rejects_key and request.header(b"idempotency-key") is not None:
        faults = (Fault(f"/{KEY}", "leave this header out"),)
        raise Refusal("invalid", f"{KEY} cannot be honoured: {route.no_key}", faults)
    if route.body is None and request.has_body:
        _reject_body(route, request)
    for parameter in route.in_head:
        arguments[parameter.name] = _read(parameter, request, query)
    if route.body is not None:
        arguments[route.body.name] = await _read_body(route, route.body, request)
    if route.request is not None:
        arguments[route.request] = request
    return arguments


def _reject_body(route: Route, request: Request) -> None:
    """Return if there is no body but an empty object. That of a GET has no meaning."""
    raw = request.body
    if route.method == "GET":
        return
    if len(raw) > EMPTY_BYTES_MAX or raw.translate(None, b" \t\r\n") not in (b"", b"{}"):
        faults = (Fault("", "leave the body out"),)
        raise Refusal("invalid", f"{route.method} {route.path} takes no body", faults)


def _read(parameter: RouteParameter, request: Request, query: dict[str, list[str]]) -> Any:
    name = parameter.wire_name
    if isinstance(parameter.source, Query):
        values = query.get(name, [])
        if len(values) > 1 and not parameter.many:
            raise Refusal("invalid", f"{name} may be given only once")
        raw: Any = values if parameter.many else values[0] if values else None
    else:
        raw = request.header(parameter.header)
    if not raw and raw != "":
        if parameter.required:
            raise Refusal("invalid", f"{name} is required", (Fault(f"/{name}", "is required"),))
        return parameter.default
    # Not `validate_strings`: pydantic takes no list there.
    value = checked(parameter.adapter, raw, at=f"/{name}")
    return list(dict.fromkeys(value)) if parameter.many else value


async def _read_body(route: Route, parameter: RouteParameter, request: Request) -> Any:
    raw = request.body
    assert isinstance(parameter.source, Body)
    if parameter.source.optional and not raw:
        return parameter.adapter.validate_python({})
    media = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media != JSON:
        raise Refusal("unsupported_media_type", "send the body with Content-Type: application/json")
    unread = Unread(raw, parameter.adapter)
    if parameter.unread:
        return unread
    if is_light_text(raw):
        return unread.read()
    return await route.runner.run(unread.read)
