"""The typed layer: a handler's annotations say what it takes, and the same annotations document it.

    @api.route("POST", "/jobs", status=201, summary="Queue a Job", refusals=("unknown_type",))
    async def submit(body: Annotated[NewJob, Body()]) -> Answer[Job]: ...

A handler raises `Refusal` or returns what it is annotated with; `Answer` adds status and headers.
`web/openapi.py` reads the same routes and writes the document.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from quart import Quart, Request, Response, request

from storage.errors import Code, Fault, Refusal
from web.errors import problem_of, refusal_of
from web.strict_json import parse

T = TypeVar("T")
Handler = Callable[..., Awaitable[Any]]

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Body:
    """The parameter is the JSON body. `optional`: no body at all means an empty object."""

    optional: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """The parameter comes from the query string; a list may be given several times."""

    description: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The parameter is a request header."""

    name: str
    description: str


@dataclass(slots=True)
class Answer(Generic[T]):
    """A value, or a body that is ready, with its status and headers."""

    value: T | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a handler, and where it comes from."""

    name: str
    source: Body | Query | Header | None  # None: from the path
    adapter: TypeAdapter[Any]
    required: bool
    default: Any
    many: bool

    @property
    def wire_name(self) -> str:
        """Its name in the request."""
        if isinstance(self.source, Header):
            return self.source.name
        if isinstance(self.source, Query) and self.source.name is not None:
            return self.source.name
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the API."""

    method: str
    path: str
    status: int
    summary: str
    tag: str
    refusals: tuple[Code, ...]
    parameters: tuple[Parameter, ...]
    result: TypeAdapter[Any] | None
    media: tuple[str, ...]
    deprecated: bool
    headers: dict[str, str]
    also: dict[int, str]
    handler: Handler

    @property
    def body(self) -> Parameter | None:
        """The parameter that is the body, if there is one."""
        return next((p for p in self.parameters if isinstance(p.source, Body)), None)


class Api:
    """Collects routes, and puts them on a Quart app."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        summary: str,
        tag: str,
        status: int = 200,
        refusals: tuple[Code, ...] = (),
        media: tuple[str, ...] = (JSON,),
        deprecated: bool = False,
        headers: dict[str, str] | None = None,
        also: dict[int, str] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register a handler. `path` in OpenAPI's form; `headers`: of the answer, with meaning."""

        def register(handler: Handler) -> Handler:
            hints = get_type_hints(handler, include_extras=True)
            result = hints.pop("return")
            if get_origin(result) is Answer:
                (result,) = get_args(result)
            is_json = media == (JSON,) and result not in (Response, type(None))
            self.routes.append(
                Route(
                    method=method,
                    path=path,
                    status=status,
                    summary=summary,
                    tag=tag,
                    refusals=refusals,
                    parameters=tuple(
                        _parameter(name, hints[name], parameter.default)
                        for name, parameter in inspect.signature(handler).parameters.items()
                    ),
                    result=TypeAdapter(result) if is_json else None,
                    media=media,
                    deprecated=deprecated,
                    headers=headers or {},
                    also=also or {},
                    handler=handler,
                )
            )
            return handler

        return register

    def mount(self, app: Quart) -> None:
        """Put every route on the app."""
        for route in self.routes:
            app.add_url_rule(
                route.path.replace("{", "<").replace("}", ">").replace("<name>", "<path:name>"),
                endpoint=f"{route.method} {route.path}",
                view_func=_view(route),
                methods=[route.method],
                provide_automatic_options=False,
            )


def json_response(body: bytes, status: int, headers: dict[str, str]) -> Response:
    """A JSON answer from ready bytes."""
    response = Response(body, status=status, headers=headers)
    response.headers["Content-Type"] = headers.get("Content-Type", JSON)
    return response


def refuse(refusal: Refusal) -> Response:
    """The answer of a refusal."""
    status, body, headers = problem_of(refusal)
    return json_response(body, status, headers)


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    source = None
    if get_origin(hint) is Annotated:
        sources = [part for part in get_args(hint) if isinstance(part, Body | Query | Header)]
        source = sources[0] if sources else None
    required = default is inspect.Parameter.empty
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return Parameter(
        name=name,
        source=source,
        adapter=TypeAdapter(hint),
        required=required,
        default=None if required else default,
        many=get_origin(bare) in (list, tuple),
    )


def _view(route: Route) -> Callable[..., Awaitable[Response]]:
    body_parameter = route.body
    others = tuple(p for p in route.parameters if p.source is not None and p is not body_parameter)

    queries = {p.wire_name for p in others if isinstance(p.source, Query)}

    async def view(**path: str) -> Response:
        arguments: dict[str, Any] = dict(path)
        try:
            if queries and (unknown := sorted(set(request.args) - queries)):
                faults = tuple(Fault(f"/{name}", "there is no such parameter") for name in unknown)
                raise Refusal("invalid", f"it takes {', '.join(sorted(queries))}", faults)
            if body_parameter is None and "Content-Length" in request.headers:
                # Not wanted, but read: what stays on the line would end the connection.
                await request.get_data()
            for parameter in others:
                arguments[parameter.name] = _read(parameter, request)
            if body_parameter is not None:
                arguments[body_parameter.name] = await _read_body(body_parameter)
            result = await route.handler(**arguments)
        except Refusal as refusal:
            return refuse(refusal)
        if isinstance(result, Response):
            return result
        if not isinstance(result, Answer):
            result = Answer(result)
        body = result.body
        if body is None:
            assert route.result is not None, f"{route.path} must answer with a body"
            body = route.result.dump_json(result.value)
        return json_response(body, result.status or route.status, result.headers)

    return view


def _read(parameter: Parameter, source: Request) -> Any:
    name = parameter.wire_name
    if isinstance(parameter.source, Header):
        raw: Any = source.headers.get(name)
    elif parameter.many:
        raw = source.args.getlist(name) or None
    else:
        values = source.args.getlist(name)
        if len(values) > 1:
            raise Refusal("invalid", f"{name} may be given only once")
        raw = values[0] if values else None
    if raw is None:
        if parameter.required:
            raise Refusal("invalid", f"{name} is required", (Fault(f"/{name}", "is required"),))
        return parameter.default
    try:
        # Not `validate_strings`: pydantic takes no list there.
        return parameter.adapter.validate_python(raw)
    except ValidationError as error:
        raise refusal_of(error, at=f"/{name}") from None


async def _read_body(parameter: Parameter) -> Any:
    assert isinstance(parameter.source, Body)
    raw = await request.get_data()
    assert isinstance(raw, bytes)
    if parameter.source.optional and not raw:
        return parameter.adapter.validate_python({})
    media = (request.content_type or "").partition(";")[0].strip().lower()
    if media != JSON:
        raise Refusal("unsupported_media_type", "send the body with Content-Type: application/json")
    value = parse(raw)
    try:
        return parameter.adapter.validate_python(value)
    except ValidationError as error:
        raise refusal_of(error) from None
