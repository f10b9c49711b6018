"""The router: which operation a method and a path name, and the response if there is none."""

import json
from typing import Any

import pytest

from headway.model.problem import Refusal
from web.api.request import Request
from web.api.response import Response, refused
from web.api.router import Router
from web.api.routes import Routes


@pytest.fixture
def routes() -> Routes:
    routes = Routes()
    common: dict[str, Any] = {"tag": "test", "summary": "for the test"}

    @routes.add("GET", "/things/{name_of}", **common)
    async def get(name_of: str) -> str:
        return name_of

    @routes.add("DELETE", "/things/{name_of}", **common)
    async def delete(name_of: str) -> str:
        raise ValueError("a bug")

    @routes.add("POST", "/things/first", **common)
    async def first() -> str:
        return "the first"

    @routes.add("POST", "/things", **common)
    async def make() -> str:
        return "made"

    @routes.add("GET", "/things/{name_of}/files/{name}", **common)
    async def file(name_of: str, name: str) -> list[str]:
        return [name_of, name]

    return routes


@pytest.fixture
def router(routes: Routes) -> Router:
    return Router(routes)


async def response_to(router: Router, method: str, path: str) -> Response[Any]:
    scope = {"method": method, "path": path, "query_string": b"", "headers": []}
    return await router.respond(Request(scope))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/things", b'"made"'),
        ("POST", "/things/first", b'"the first"'),
        ("GET", "/things/first", b'"first"'),  # the fixed path has another method
        ("HEAD", "/things/first", b'"first"'),
        ("GET", "/things/a b", b'"a b"'),
        ("GET", "/things/x/files/a", b'["x","a"]'),
        ("GET", "/things/x/files/a/b.txt", b'["x","a/b.txt"]'),
        ("GET", "/things/x/files//b/", b'["x","/b/"]'),
    ],
)
async def test_a_path_names_an_operation(
    router: Router, method: str, path: str, body: bytes
) -> None:
    response = await response_to(router, method, path)
    assert (response.status, response.body) == (200, body)


@pytest.mark.parametrize(
    "path",
    ["/", "", "*", "/thing", "/things/", "//things", "/things/x/", "/things//files/a",
     "/things/x/files/", "/things/x/files", "things", "/Things"],
)  # fmt: skip
async def test_any_other_path_is_not_found(router: Router, path: str) -> None:
    response = await response_to(router, "GET", path)
    assert response.status == 404
    assert json.loads(response.body or b"")["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/things", "POST"),
        ("PUT", "/things/x", "DELETE, GET, HEAD"),
        ("PUT", "/things/first", "POST"),  # of the fixed path alone
        ("OPTIONS", "/things/x/files/a/b", "GET, HEAD"),
        ("get", "/things/x", "DELETE, GET, HEAD"),
    ],
)
async def test_another_method_names_those_that_are_there(
    router: Router, method: str, path: str, allowed: str
) -> None:
    response = await response_to(router, method, path)
    assert (response.status, response.headers["Allow"]) == (405, allowed)


async def test_an_error_that_is_no_refusal_gets_its_response(routes: Routes) -> None:
    errors: list[Exception] = []

    def failed(error: Exception) -> Response[Any]:
        errors.append(error)
        return refused(Refusal("unavailable", "try again"))

    response = await response_to(Router(routes, failed), "DELETE", "/things/x")
    assert response.status == 503
    assert [str(error) for error in errors] == ["a bug"]
