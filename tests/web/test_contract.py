"""One contract: what the server documents and returns is what `headway.model` defines."""

import importlib
import pkgutil
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from inspect import signature
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

import headway.model
import web.resources
from headway.client.blocking import run
from headway.client.client import AllOperations
from headway.client.log_reader import LogReader
from headway.client.session import R, Session
from web.api.openapi import document
from web.api.routes import Route
from web.app import make_routes
from web.context import Context

JSON_DOCUMENT = "/openapi.json"
"""The one JSON response that is no resource."""


def modules_of(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(module.name) for module in found]


def classes_of(package: ModuleType) -> list[type]:
    return [
        each
        for module in modules_of(package)
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__
    ]


def response_class(route: Route) -> Any:
    """What the handler's annotation says: `Response[Job]` and `Job` are both a Job."""
    hint = get_type_hints(route.handler)["return"]
    return next(iter(get_args(hint)), hint)


MODEL = {each.__name__: each for each in classes_of(headway.model)}


@pytest.fixture
async def routes(context: Context) -> list[Route]:
    return [route for route in make_routes(context) if route.path != JSON_DOCUMENT]


async def test_every_json_response_is_a_class_of_the_contract(routes: list[Route]) -> None:
    returned = [response_class(route) for route in routes if route.result is not None]
    assert returned
    assert [each for each in returned if MODEL.get(each.__name__) is not each] == []


async def test_every_component_of_the_document_is_a_class_of_the_contract(context: Context) -> None:
    components = document(make_routes(context), "1")["components"]["schemas"]
    assert set(components) - set(MODEL) == set()


def test_the_resources_of_web_define_no_models() -> None:
    classes = classes_of(web.resources)
    assert [each for each in classes if issubclass(each, BaseModel)] == []


class Recorder(Session):
    """A session that sends nothing: it records which class is made of which response."""

    def __init__(self) -> None:
        self.url = "http://headway"
        self.asked: list[tuple[str, str, type[BaseModel]]] = []

    async def ask(self, response_class: type[R], method: str, path: str, **options: object) -> R:
        self.asked.append((method, path, response_class))
        raise Recorded

    def called(self, operation: Callable[..., Any], arguments: Sequence[Any]) -> None:
        """Call an operation up to its first request."""
        answer = operation(*arguments)
        with suppress(Recorded, AttributeError):  # a stream has no response to parse
            run(answer.__anext__() if isinstance(answer, AsyncGenerator) else answer)


class Recorded(Exception):
    """The request was recorded."""


WITHOUT_METHOD = {("POST", "/jobs/{type}/trigger")}
"""Deprecated when the client was written: it has no method for it."""
ARGUMENTS: dict[str, Sequence[Any]] = {
    "submit_batch": ([],),
    "reserve": (5,),
    "scheduler_history": (),
}
"""Of operations that do not take one id or name for each argument that they require."""


def arguments(name: str, operation: Callable[..., Any]) -> Sequence[Any]:
    required = [
        parameter
        for parameter in signature(operation).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return ARGUMENTS.get(name, ("x",) * len(required))


def parsed_classes() -> dict[tuple[str, str], type[BaseModel]]:
    """The class that the client makes of the response to each operation it calls."""
    recorder = Recorder()
    client = AllOperations(recorder)
    for name in dir(client):
        if not name.startswith("_") and callable(getattr(client, name)):
            operation = getattr(client, name)
            recorder.called(operation, arguments(name, operation))
    recorder.called(lambda: client.scheduler_config(concurrency=2), ())
    recorder.called(lambda: LogReader(recorder, "x").times(), ())
    return {(method, path): made for method, path, made in recorder.asked}


async def test_the_client_returns_the_class_that_the_server_documents(
    routes: list[Route],
) -> None:
    parsed = parsed_classes()
    documented = {
        (route.method, re.sub(r"\{\w+\}", "x", route.path)): response_class(route)
        for route in routes
        if route.result is not None and (route.method, route.path) not in WITHOUT_METHOD
    }
    assert parsed == documented
