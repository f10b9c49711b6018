"""Routes: what a handler's annotations define."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from web.api.request import Request
from web.api.response import Response
from web.api.routes import Body, Header, Query, Route, Routes, Unread
from web.json.size import BODY_BYTES_MAX

COMMON: dict[str, Any] = {"tag": "test", "summary": "for the test"}


def route_of(handler: Any, method: str = "POST", **options: Any) -> Route:
    """The one route of a handler at `/x/{x_id}`."""
    routes = Routes()
    routes.add(method, "/x/{x_id}", **COMMON, **options)(handler)
    (route,) = routes
    return route


async def takes_all(
    request: Request,
    x_id: str,
    body: Annotated[dict[str, int], Body()],
    limit: Annotated[Annotated[int, Field(ge=1)], Query("how many")] = 5,
    kinds: Annotated[list[str], Query("which", name="kind")] = [],  # noqa: B006
    key: Annotated[str | None, Header("Idempotency-Key", "a key")] = None,
) -> Response[int]:
    raise NotImplementedError


async def takes_batch(x_id: str, body: Annotated[Unread[list[int]], Body()]) -> int:
    raise NotImplementedError


async def takes_nothing(x_id: str) -> int:
    raise NotImplementedError


def test_a_route_knows_its_parameters() -> None:
    route = route_of(takes_all)
    assert [(p.wire_name, p.required, p.many) for p in route.parameters] == [
        ("x_id", True, False),
        ("body", True, False),
        ("limit", False, False),
        ("kind", False, True),
        ("Idempotency-Key", False, False),
    ]
    assert [p.name for p in route.in_head] == ["limit", "kinds", "key"]
    assert route.queries == {"limit", "kind"}
    assert route.body is not None
    assert route.body.name == "body"
    assert route.request == "request"
    assert route_of(takes_nothing).request is None


def test_the_body_of_a_batch_has_no_limit_but_the_servers() -> None:
    assert (route_of(takes_batch).takes_batch, route_of(takes_all).takes_batch) == (True, False)
    assert route_of(takes_batch).body_bytes_max > 1 << 40
    for handler in (takes_all, takes_nothing):
        assert route_of(handler).body_bytes_max == BODY_BYTES_MAX


@pytest.mark.parametrize(
    ("handler", "method", "options", "rejects"),
    [
        (takes_nothing, "POST", {}, True),
        (takes_nothing, "POST", {"repeatable": True}, False),
        (takes_nothing, "DELETE", {}, False),
        (takes_all, "POST", {}, False),
    ],
)
def test_a_post_that_creates_without_a_key_rejects_one(
    handler: Any, method: str, options: dict[str, Any], rejects: bool
) -> None:
    assert route_of(handler, method, **options).rejects_key == rejects


@pytest.mark.parametrize(
    ("options", "is_immediate"),
    [({}, True), ({"waits": True}, False), ({"media": ("text/plain",)}, False)],
)
def test_json_without_waiting_is_immediate(options: dict[str, Any], is_immediate: bool) -> None:
    assert route_of(takes_nothing, **options).is_immediate == is_immediate


def test_routes_are_a_collection() -> None:
    routes = Routes()
    for path in ("/a", "/b"):
        routes.add("GET", path, **COMMON)(takes_nothing)
    assert len(routes) == 2
    assert [route.path for route in routes] == ["/a", "/b"]
