"""One contract: what the server documents and returns is what `headway.model` defines."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

import headway.model
import web.resources
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
