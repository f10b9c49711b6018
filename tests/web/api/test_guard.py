"""The guard by itself: every type of ASGI scope, and names that the configuration adds."""

import json
from typing import Any

import pytest

from web.api.guard import Guard

REACHED = object()


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": scope["headers"]})
    await send({"type": "http.response.body", "body": scope["path"].encode(), "app": REACHED})


def scope_of(kind: str, host: str = "127.0.0.1", **more: Any) -> dict[str, Any]:
    scope = {"type": kind, "raw_path": b"/x", "path": "/x", "headers": [(b"host", host.encode())]}
    return {**scope, "method": "GET", **more}


async def sent(scope: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        found.append(message)

    async def receive() -> Any:
        raise AssertionError("the head is enough")

    await Guard(app, names)(scope, receive, send)
    return found


async def test_a_request_that_passes_reaches_the_app() -> None:
    _, body = await sent(scope_of("http"))
    assert body["app"] is REACHED


async def test_a_refusal_closes_the_connection_and_is_not_stored() -> None:
    start, body = await sent(scope_of("http", "evil.example"))
    assert json.loads(body["body"])["code"] == "bad_host"
    assert {(b"connection", b"close"), (b"cache-control", b"no-store")} <= set(start["headers"])


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 404), ("evil.example", 421)])
async def test_a_websocket_is_answered_in_http(host: str, status: int) -> None:
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    start, body = await sent(scope_of("websocket", host, extensions=extensions))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert body["type"] == "websocket.http.response.body"
    assert json.loads(body["body"])["status"] == status


async def test_a_websocket_is_closed_where_it_cannot_be_answered() -> None:
    assert await sent(scope_of("websocket")) == [{"type": "websocket.close"}]


@pytest.mark.parametrize("kind", ["lifespan", "webtransport", ""])
async def test_other_types_of_scope_never_reach_the_app(kind: str) -> None:
    with pytest.raises(NotImplementedError):
        await sent(scope_of(kind))


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://127.0.0.1/a%20b", "/a b"), (b"http://127.0.0.1", "/"), (b"http://[::1]:80/", "/")],
)
async def test_an_absolute_target_becomes_its_path(target: bytes, path: str) -> None:
    whole = target.decode().replace("%20", " ")
    _, body = await sent(scope_of("http", "evil.example", raw_path=target, path=whole))
    assert body["body"] == path.encode()


@pytest.mark.parametrize("name", ["box.lan.", "a@b", "", "::1"])
async def test_a_name_that_is_none_allows_nothing(name: str) -> None:
    for host in (name, "", "evil.example"):
        start, _ = await sent(scope_of("http", host), name)
        assert start["status"] == 421
