"""The typed layer: a handler's annotations define its arguments, and document them.

    @routes.add("POST", "/jobs", status=201, summary="Queue a Job", refusals=("unknown_type",))
    async def submit(body: Annotated[NewJob, Body()]) -> Response[Job]: ...

A handler raises `Refusal` or returns what it is annotated with; `Response` adds status and headers.
`web/api/openapi.py` writes the document from the same routes.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from pydantic import Field, TypeAdapter

from actors.runner import InlineRunner
from headway.model.problem import Code
from storage.database import Runner
from web.api.problem import checked
from web.api.request import Request
from web.api.response import Response
from web.json.size import BODY_BYTES_MAX, check_values
from web.json.strict import parse

T = TypeVar("T")
Handler = Callable[..., Awaitable[Any]]

JSON = "application/json"
KEY = "Idempotency-Key"
LIST_MAX = 50


@dataclass(frozen=True, slots=True)
class Body:
    """The parameter is the JSON body. `optional`: without a body it is an empty object."""

    optional: bool = False


@dataclass(frozen=True, slots=True)
class Unread(Generic[T]):
    """A body that may be large: the handler itself parses it, off the event loop.

    `Annotated[Unread[Batch], Body()]` is documented as a `Batch`.
    """

    raw: bytes | bytearray
    adapter: TypeAdapter[T]

    def read(self) -> T:
        """Parse and validate it.

        Raises:
            Refusal: `too_large`, `malformed_json` or `invalid`.
        """
        check_values(self.raw)
        return checked(self.adapter, parse(self.raw))


@dataclass(frozen=True, slots=True)
class Query:
    """The parameter is in the query string; a list may be given up to `LIST_MAX` times.

    A value that is given twice counts once.
    """

    description: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The parameter is a request header."""

    name: str
    description: str


@dataclass(frozen=True)
class RouteParameter:
    """One argument of a handler, and its place in the request."""

    name: str
    source: Body | Query | Header | None  # None: from the path
    adapter: TypeAdapter[Any]
    required: bool
    default: Any
    many: bool
    unread: bool

    @cached_property
    def header(self) -> bytes:
        """The name of its header in an ASGI scope."""
        return self.wire_name.lower().encode()

    @cached_property
    def wire_name(self) -> str:
        """Its name in the request."""
        if isinstance(self.source, Header):
            return self.source.name
        if isinstance(self.source, Query) and self.source.name is not None:
            return self.source.name
        return self.name


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation of the API.

    `request`: the name of the argument that takes the `Request` itself, if there is one. `runner`:
    where large bodies are read.
    """

    method: str
    path: str
    status: int
    summary: str
    tag: str
    refusals: tuple[Code, ...]
    parameters: tuple[RouteParameter, ...]
    result: TypeAdapter[Any] | None
    media: tuple[str, ...]
    deprecated: bool
    headers: dict[str, str]
    also: dict[int, str]
    waits: bool
    repeatable: bool
    no_key: str
    request: str | None
    handler: Handler
    runner: Runner

    @cached_property
    def body(self) -> RouteParameter | None:
        """The parameter that is the body, if there is one."""
        return next((p for p in self.parameters if isinstance(p.source, Body)), None)

    @cached_property
    def body_bytes_max(self) -> float:
        """The limit of its body; that of a batch is the server's."""
        return inf if self.takes_batch else BODY_BYTES_MAX

    @cached_property
    def takes_batch(self) -> bool:
        """Whether its body is a batch, which its handler parses itself."""
        return self.body is not None and self.body.unread

    @cached_property
    def in_head(self) -> tuple[RouteParameter, ...]:
        """Its parameters in the query and the headers."""
        return tuple(p for p in self.parameters if isinstance(p.source, Query | Header))

    @cached_property
    def queries(self) -> frozenset[str]:
        """The names that are allowed in the query string."""
        return frozenset(p.wire_name for p in self.in_head if isinstance(p.source, Query))

    @cached_property
    def rejects_key(self) -> bool:
        """Whether it creates something without recognising a repeated request by its key."""
        takes_key = any(p.wire_name == KEY for p in self.in_head)
        return self.method == "POST" and not self.repeatable and not takes_key

    @property
    def is_immediate(self) -> bool:
        """Whether it returns JSON without waiting for anything but the disk."""
        return self.result is not None and not self.waits


class Routes:
    """A collection of operations. `runner`: where large bodies are parsed."""

    def __init__(self, runner: Runner | None = None) -> None:
        self._routes: list[Route] = []
        self._runner = runner or InlineRunner()

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def __len__(self) -> int:
        return len(self._routes)

    def add(
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
        waits: bool = False,
        repeatable: bool = False,
        no_key: str = "this operation keeps no responses",
    ) -> Callable[[Handler], Handler]:
        """Register a handler. `path`: as in OpenAPI; `headers`: those of the response, described.

        `waits`: it may take long, and is cancelled when the client goes away. `repeatable`: a POST
        that changes nothing more when it is repeated. Any other POST takes an `Idempotency-Key`, or
        rejects it for the reason `no_key`.
        """

        def register(handler: Handler) -> Handler:
            hints = get_type_hints(handler, include_extras=True)
            result = hints.pop("return")
            if get_origin(result) is Response:
                (result,) = get_args(result)
            is_json = media == (JSON,) and result is not type(None)
            self._routes.append(
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
                        if hints[name] is not Request
                    ),
                    result=TypeAdapter(result) if is_json else None,
                    media=media,
                    deprecated=deprecated,
                    headers=headers or {},
                    also=also or {},
                    waits=waits,
                    repeatable=repeatable,
                    no_key=no_key,
                    request=next((name for name in hints if hints[name] is Request), None),
                    handler=handler,
                    runner=self._runner,
                )
            )
            return handler

        return register


def _parameter(name: str, hint: Any, default: Any) -> RouteParameter:
    source = None
    if get_origin(hint) is Annotated:
        sources = [part for part in get_args(hint) if isinstance(part, Body | Query | Header)]
        source = sources[0] if sources else None
    required = default is inspect.Parameter.empty
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if unread := get_origin(bare) is Unread:
        (hint,) = get_args(bare)
    if many := get_origin(bare) in (list, tuple):
        hint = Annotated[hint, Field(max_length=LIST_MAX)]
    return RouteParameter(
        name=name,
        source=source,
        adapter=TypeAdapter(hint),
        required=required,
        default=None if required else default,
        many=many,
        unread=unread,
    )
