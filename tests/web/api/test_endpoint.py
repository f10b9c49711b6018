"""Arguments by annotation, results as JSON, refusals as problems: the same on both paths."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, Field

from headway.model.problem import STATUS, Fault, Refusal
from web.api.quart_app import QuartApp
from web.api.request import QUERY_FIELDS_MAX, Request
from web.api.response import Response
from web.api.router import Router
from web.api.routes import LIST_MAX, Body, Header, Query, Routes


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: Annotated[int, Field(ge=0)] = 0


@pytest.fixture
def routes() -> Routes:
    routes = Routes()
    common: dict[str, Any] = {"tag": "test", "summary": "for the test"}

    @routes.add("POST", "/things", status=201, **common)
    async def make(body: Annotated[Thing, Body()]) -> Response[Thing]:
        return Response(body, headers={"Location": f"/things/{body.name}"})

    @routes.add("POST", "/maybe", **common)
    async def maybe(body: Annotated[dict[str, int], Body(optional=True)]) -> dict[str, int]:
        return body

    @routes.add("GET", "/things/{thing_id}", **common)
    async def get(
        thing_id: str,
        limit: Annotated[Annotated[int, Field(ge=1, le=9)], Query("how many")] = 5,
        tag: Annotated[list[Literal["a", "b"]], Query("which")] = [],  # noqa: B006
        word: Annotated[str | None, Header("X-Word", "a word")] = None,
    ) -> dict[str, Any]:
        return {"id": thing_id, "limit": limit, "tag": tag, "word": word}

    @routes.add("GET", "/needs", **common)
    async def needs(q: Annotated[str, Query("needed")]) -> str:
        return q

    @routes.add("GET", "/files/{name}", media=("text/plain",), **common)
    async def file(name: str) -> Response[None]:
        return Response(body=name.encode(), headers={"Content-Type": "text/plain"})

    async def endless() -> AsyncIterator[bytes]:
        pytest.fail("a HEAD has no body")
        yield b""

    @routes.add("GET", "/stream", media=("text/event-stream",), **common)
    async def stream(length: Annotated[str | None, Query("of the body")] = None) -> Response[None]:
        headers = {"Content-Type": "text/event-stream"}
        if length is not None:
            headers["Content-Length"] = length
        return Response(pieces=endless(), headers=headers)

    @routes.add("DELETE", "/things/{thing_id}", **common)
    async def refuse(thing_id: str) -> Thing:
        raise Refusal("wrong_state", "not now", (Fault("/a~b", "because"),))

    @routes.add("POST", "/make", **common)
    async def bare() -> str:
        return "made"

    @routes.add("POST", "/run", no_key="it ends with its client", **common)
    async def run() -> str:
        return "ran"

    @routes.add("POST", "/again", repeatable=True, **common)
    async def again() -> str:
        return "the same"

    @routes.add("POST", "/keyed", **common)
    async def keyed(
        key: Annotated[str | None, Header("Idempotency-Key", "a key")] = None,
    ) -> str | None:
        return key

    @routes.add("GET", "/ready", **common)
    async def ready() -> Response[Thing]:
        return Response(body=b'{"ready": 1}', status=202)

    return routes


@pytest.fixture(params=["directly", "quart"])
def client(routes: Routes, request: pytest.FixtureRequest) -> httpx.AsyncClient:
    """Both request paths must give the same response."""
    router = Router(routes)

    async def directly(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        await (await router.respond(Request(scope, body))).send(send)

    app: Any = QuartApp(router, bool) if request.param == "quart" else directly
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


async def ask(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    data: bytes | None = None,
    headers: Any = None,
) -> tuple[int, Any, Any]:
    response = await client.request(method, path, content=data, headers=headers)
    is_json = "json" in response.headers.get("Content-Type", "")
    return response.status_code, response.json() if is_json else response.content, response.headers


JSON = {"Content-Type": "application/json"}


async def test_a_body_is_validated_and_the_answer_written(client: Any) -> None:
    status, body, headers = await ask(
        client, "POST", "/things", data=b'{"name": "x", "size": 2}', headers=JSON
    )
    assert (status, body) == (201, {"name": "x", "size": 2})
    assert headers["Location"] == "/things/x"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("data", "media", "status", "code"),
    [
        (b'{"name": "x"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"name": "x"}', "", 415, "unsupported_media_type"),
        (b"{", "application/json", 400, "malformed_json"),
        (b"", "application/json", 400, "malformed_json"),
        (b"[]", "application/json", 422, "invalid"),
        (b"{}", "application/json", 422, "invalid"),
        (b'{"name": 1}', "application/json", 422, "invalid"),
        (b'{"name": "x", "size": -1}', "application/json", 422, "invalid"),
        (b'{"name": "x", "more": 1}', "application/json", 422, "invalid"),
    ],
)
async def test_a_wrong_body_is_a_problem(
    client: Any, data: bytes, media: str, status: int, code: str
) -> None:
    got, problem, headers = await ask(
        client, "POST", "/things", data=data, headers={"Content-Type": media} if media else {}
    )
    assert (got, problem["status"], problem["code"]) == (status, status, code)
    assert headers["Content-Type"] == "application/problem+json"


async def test_every_fault_has_its_place(client: Any) -> None:
    data = b'{"size": "x", "a/b~c": 1}'
    _, problem, _ = await ask(client, "POST", "/things", data=data, headers=JSON)
    assert {fault["pointer"] for fault in problem["errors"]} == {"/name", "/size", "/a~1b~0c"}


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
async def test_the_media_type_may_have_parameters(client: Any, media: str) -> None:
    headers = {"Content-Type": media}
    status, _, _ = await ask(client, "POST", "/things", data=b'{"name": "x"}', headers=headers)
    assert status == 201


async def test_an_optional_body_may_be_missing_but_not_wrong(client: Any) -> None:
    assert (await ask(client, "POST", "/maybe"))[:2] == (200, {})
    assert (await ask(client, "POST", "/maybe", data=b'{"a": 1}', headers=JSON))[1] == {"a": 1}
    assert (await ask(client, "POST", "/maybe", data=b'{"a": "x"}', headers=JSON))[0] == 422
    assert (await ask(client, "POST", "/maybe", data=b"{}"))[0] == 415


async def test_arguments_come_from_path_query_and_headers(client: Any) -> None:
    status, body, _ = await ask(
        client, "GET", "/things/x-1?limit=7&tag=a&tag=b", headers={"X-Word": "hello"}
    )
    assert (status, body) == (
        200,
        {"id": "x-1", "limit": 7, "tag": ["a", "b"], "word": "hello"},
    )
    _, body, _ = await ask(client, "GET", "/things/x-1")
    assert body == {"id": "x-1", "limit": 5, "tag": [], "word": None}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=10", "/limit"),
        ("limit=x", "/limit"),
        ("limit=", "/limit"),
        ("tag=a&tag=c", "/tag/1"),
    ],
)
async def test_a_wrong_argument_names_its_place(client: Any, query: str, pointer: str) -> None:
    status, problem, _ = await ask(client, "GET", f"/things/x?{query}")
    assert (status, problem["code"]) == (422, "invalid")
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&limit=1"])
async def test_what_is_one_may_be_given_once(client: Any, query: str) -> None:
    assert (await ask(client, "GET", f"/things/x?{query}"))[0] == 422


async def test_a_header_that_is_given_twice_is_one_list(client: Any) -> None:
    headers = [("X-Word", "one"), ("Other", "x"), ("X-Word", "two")]
    _, body, _ = await ask(client, "GET", "/things/x", headers=headers)
    assert body["word"] == "one, two"


async def test_what_is_given_twice_counts_once(client: Any) -> None:
    _, body, _ = await ask(client, "GET", "/things/x?tag=b&tag=a&tag=b&tag=b")
    assert body["tag"] == ["b", "a"]


@pytest.mark.parametrize("count", [LIST_MAX + 1, QUERY_FIELDS_MAX, QUERY_FIELDS_MAX + 1, 10_000])
async def test_a_list_has_a_limit(client: Any, count: int) -> None:
    status, body, _ = await ask(client, "GET", "/things/x?" + "&".join(["tag=a"] * LIST_MAX))
    assert (status, body["tag"]) == (200, ["a"])
    status, problem, _ = await ask(client, "GET", "/things/x?" + "&".join(["tag=a"] * count))
    assert (status, problem["code"]) == (422, "invalid")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_query_that_is_not_taken_is_refused(client: Any, method: str) -> None:
    path = "/again" if method == "POST" else "/things/x"
    status, problem, _ = await ask(client, method, f"{path}?priority=5")
    assert (status, problem["code"]) == (422, "invalid")
    assert problem["errors"] == [{"pointer": "/priority", "message": "there is no such parameter"}]
    assert (await ask(client, "GET", "/ready?now=1"))[0] == 202


async def test_what_is_required_is_asked_for(client: Any) -> None:
    status, problem, _ = await ask(client, "GET", "/needs")
    assert status == 422
    assert problem["errors"] == [{"pointer": "/q", "message": "is required"}]
    assert (await ask(client, "GET", "/needs?q=1"))[1] == "1"


async def test_a_refusal_becomes_a_problem(client: Any) -> None:
    status, problem, _ = await ask(client, "DELETE", "/things/x")
    assert status == STATUS["wrong_state"][0] == 409
    assert problem["type"] == "urn:headway:problem:wrong_state"
    assert problem["detail"] == "not now"
    assert problem["errors"] == [{"pointer": "/a~b", "message": "because"}]


async def test_a_ready_body_goes_out_as_it_is(client: Any) -> None:
    assert (await ask(client, "GET", "/ready"))[:2] == (202, {"ready": 1})


@pytest.mark.parametrize(("query", "length"), [("", None), ("?length=9000000", "9000000")])
async def test_head_takes_nothing_of_a_stream(client: Any, query: str, length: str | None) -> None:
    status, body, headers = await ask(client, "HEAD", f"/stream{query}")
    assert (status, body) == (200, b"")
    assert headers["Content-Type"] == "text/event-stream"
    assert headers.get("Content-Length") == length


@pytest.mark.parametrize("data", [b"", b"{}", b" {\n}\r\n"])
async def test_where_no_body_is_taken_an_empty_one_is_fine(client: Any, data: bytes) -> None:
    for headers in (JSON, {"Content-Type": "text/plain"}):
        assert (await ask(client, "POST", "/make", data=data, headers=headers))[0] == 200


@pytest.mark.parametrize(
    "data", [b'{"a": 1}', b"[]", b"null", b"x", b"{} {}", b"{" + b" " * 900 + b"}"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/make"), ("DELETE", "/things/x")])
async def test_a_body_that_is_not_taken_is_refused(
    client: Any, method: str, path: str, data: bytes
) -> None:
    status, problem, _ = await ask(client, method, path, data=data, headers=JSON)
    assert (status, problem["code"]) == (422, "invalid")
    assert problem["detail"].endswith("takes no body")


async def test_a_body_that_is_not_taken_is_refused_in_chunks_too(client: Any) -> None:
    async def chunks() -> Any:
        yield b'{"a": 1}'

    assert (await client.request("POST", "/make", content=chunks())).status_code == 422


async def test_a_key_is_honoured_or_refused_with_the_reason(client: Any) -> None:
    key = {"Idempotency-Key": "k"}
    assert (await ask(client, "POST", "/keyed", headers=key))[:2] == (200, "k")
    assert (await ask(client, "POST", "/again", headers=key))[:2] == (200, "the same")
    assert (await ask(client, "GET", "/things/x", headers=key))[0] == 200
    for path, reason in (("/make", "keeps no responses"), ("/run", "it ends with its client")):
        status, problem, _ = await ask(client, "POST", path, headers=key)
        assert (status, problem["code"]) == (422, "invalid")
        assert problem["errors"][0]["pointer"] == "/Idempotency-Key"
        assert reason in problem["detail"]
