"""Which operation a method and a path name: the one router of both request paths.

A fixed path precedes a template that it matches too. A template whose last part is `{name}` takes
the rest of the path, with its slashes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headway.model.problem import Refusal
from web.api import endpoint
from web.api.request import Request
from web.api.response import Response, internal_error, refused
from web.api.routes import Route

REST = "{name}"

NOT_FOUND = Refusal("not_found", "there is nothing at this path: GET /docs shows what there is")
NOT_ALLOWED = Refusal("method_not_allowed", "this path has other methods: GET /docs shows which")

Methods = dict[str, Route]
Found = tuple[Route, dict[str, str]]
"""A route, and the parameters in its path."""


class Router:
    """Every operation of the server. `failed`: the response to an error that is no `Refusal`."""

    def __init__(
        self,
        routes: Iterable[Route],
        failed: Callable[[Exception], Response[Any]] = internal_error,
    ) -> None:
        self._failed = failed
        self._fixed: dict[str, Methods] = {}
        templates: dict[str, Methods] = {}
        for route in routes:
            paths = templates if "{" in route.path else self._fixed
            paths.setdefault(route.path, {})[route.method] = route
        self._templates: dict[int, list[tuple[list[str], Methods]]] = {}
        self._rests: list[tuple[list[str], Methods]] = []
        for path, methods in templates.items():
            parts = path.split("/")
            same_length = self._templates.setdefault(len(parts), [])
            (self._rests if parts[-1] == REST else same_length).append((parts, methods))

    def find(self, method: str, path: str) -> Found | Response[Any]:
        """The operation, or the response that there is none: 404, or 405 with `Allow`."""
        wanted = "GET" if method == "HEAD" else method
        fixed = self._fixed.get(path, {})
        if wanted in fixed:
            return fixed[wanted], {}
        allowed = set[str]()
        for methods, parameters in self._matches(path):
            if wanted in methods:
                return methods[wanted], parameters
            allowed |= methods.keys()
        allowed = set(fixed) or allowed
        return _not_allowed(allowed) if allowed else refused(NOT_FOUND)

    async def respond(self, request: Request) -> Response[Any]:
        """The response to a request, whatever it asks for."""
        found = self.find(request.method, request.path)
        return found if isinstance(found, Response) else await self.run(found, request)

    async def run(self, found: Found, request: Request) -> Response[Any]:
        """The response of an operation."""
        try:
            return await endpoint.respond(found[0], request, found[1])
        except Exception as error:  # noqa: BLE001 - `failed` logs it
            return self._failed(error)

    def _matches(self, path: str) -> Iterator[tuple[Methods, dict[str, str]]]:
        """The templates that match the path."""
        parts = path.split("/")
        for template, methods in self._templates.get(len(parts), ()):
            if (parameters := _matched(template, parts)) is not None:
                yield methods, parameters
        for template, methods in self._rests:
            if (parameters := _matched(template, path.split("/", len(template) - 1))) is not None:
                yield methods, parameters


def _matched(template: list[str], parts: list[str]) -> dict[str, str] | None:
    """The parameters in a path that fits the template; None: it does not."""
    if len(template) != len(parts):
        return None
    parameters: dict[str, str] = {}
    for wanted, part in zip(template, parts, strict=True):
        if wanted[:1] == "{":
            if not part:
                return None
            parameters[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return parameters


def _not_allowed(methods: set[str]) -> Response[Any]:
    response = refused(NOT_ALLOWED)
    named = methods | {"HEAD"} if "GET" in methods else methods
    response.headers["Allow"] = ", ".join(sorted(named))
    return response
