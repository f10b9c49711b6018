"""What a route makes of a call: arguments checked, the handler asked, its word put into bytes."""

from typing import Any

from headway.model.problem import Fault, Refusal
from web.api.problem import checked, problem_of
from web.api.request import Call
from web.api.routes import JSON, KEY, Answer, Body, Parameter, Query, Route, Unread
from web.json.size import BODY_TOO_LARGE, is_light_text

EMPTY_BYTES_MAX = 100
"""Of an empty object, with its white space."""


async def answer(route: Route, call: Call, path: dict[str, str]) -> Answer[Any]:
    """What the route's handler says, with its body (or the pieces of one) and its status."""
    try:
        result = await route.handler(**await _arguments(route, call, path))
        if isinstance(result, Answer) and result.pieces is not None:
            if call.method == "HEAD":
                result.pieces, result.body = None, b""  # they may never end
            else:
                call.take_stream()
    except Refusal as refusal:
        return refused(refusal)
    if not isinstance(result, Answer):
        result = Answer(result)
    if result.body is None and result.pieces is None:
        assert route.result is not None, f"{route.path} must answer with a body"
        result.body = route.result.dump_json(result.value)
    if result.status is None:
        result.status = route.status
    result.headers.setdefault("Content-Type", JSON)
    return result


def refused(refusal: Refusal) -> Answer[Any]:
    """The answer of a refusal."""
    status, body, headers = problem_of(refusal)
    return Answer(status=status, body=body, headers=headers)


async def _arguments(route: Route, call: Call, path: dict[str, str]) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(path)
    query = call.query()
    # A GET of a fixed page may carry anything: some clients add a time, so that nothing is cached.
    if not route.queries.issuperset(query) and (route.queries or route.method != "GET"):
        unknown = sorted(set(query) - route.queries)
        faults = tuple(Fault(f"/{name}", "there is no such parameter") for name in unknown)
        known = ", ".join(sorted(route.queries)) or "no parameters in a query"
        raise Refusal("invalid", f"it takes {known}", faults)
    if route.rejects_key and call.header(b"idempotency-key") is not None:
        faults = (Fault(f"/{KEY}", "leave this header out"),)
        raise Refusal("invalid", f"{KEY} cannot be honoured: {route.no_key}", faults)
    if route.body is None and call.has_body:
        await _reject_body(route, call)
    for parameter in route.in_head:
        arguments[parameter.name] = _read(parameter, call, query)
    if route.body is not None:
        arguments[route.body.name] = await _read_body(route, route.body, call)
    if route.call is not None:
        arguments[route.call] = call
    return arguments


async def _reject_body(route: Route, call: Call) -> None:
    """Read it, or what stays on the line would end the connection. A GET's body has no meaning."""
    raw = await _raw_body(route, call)
    if route.method == "GET":
        return
    if len(raw) > EMPTY_BYTES_MAX or raw.translate(None, b" \t\r\n") not in (b"", b"{}"):
        faults = (Fault("", "leave the body out"),)
        raise Refusal("invalid", f"{route.method} {route.path} takes no body", faults)


def _read(parameter: Parameter, call: Call, query: dict[str, list[str]]) -> Any:
    name = parameter.wire_name
    if isinstance(parameter.source, Query):
        values = query.get(name, [])
        if len(values) > 1 and not parameter.many:
            raise Refusal("invalid", f"{name} may be given only once")
        raw: Any = values if parameter.many else values[0] if values else None
    else:
        raw = call.header(parameter.header)
    if not raw and raw != "":
        if parameter.required:
            raise Refusal("invalid", f"{name} is required", (Fault(f"/{name}", "is required"),))
        return parameter.default
    # Not `validate_strings`: pydantic takes no list there.
    value = checked(parameter.adapter, raw, at=f"/{name}")
    return list(dict.fromkeys(value)) if parameter.many else value


async def _raw_body(route: Route, call: Call) -> bytes | bytearray:
    if int(call.header(b"content-length") or 0) > route.body_bytes_max:
        raise BODY_TOO_LARGE.anew()
    raw = await call.body()
    if len(raw) > route.body_bytes_max:
        raise BODY_TOO_LARGE.anew()
    return raw


async def _read_body(route: Route, parameter: Parameter, call: Call) -> Any:
    raw = await _raw_body(route, call)
    assert isinstance(parameter.source, Body)
    if parameter.source.optional and not raw:
        return parameter.adapter.validate_python({})
    media = (call.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media != JSON:
        raise Refusal("unsupported_media_type", "send the body with Content-Type: application/json")
    unread = Unread(raw, parameter.adapter)
    if parameter.unread:
        return unread
    if is_light_text(raw):
        return unread.read()
    return await route.runner.run(unread.read)
