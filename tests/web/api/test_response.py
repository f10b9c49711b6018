"""A response writes itself to an ASGI `send`."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from headway.model.problem import Refusal
from web.api.response import Response, internal_error, malformed, refused


async def written(response: Response[Any], **options: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await response.send(send, **options)
    return messages


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def test_a_body_has_its_length() -> None:
    start, body = await written(Response(status=201, headers={"Location": "/x"}, body=b"abc"))
    assert start == {
        "type": "http.response.start",
        "status": 201,
        "headers": [
            (b"location", b"/x"),
            (b"content-length", b"3"),
            (b"cache-control", b"no-store"),
        ],
    }
    assert body == {"type": "http.response.body", "body": b"abc"}


async def test_pieces_have_no_length_unless_it_is_known() -> None:
    for headers in ({}, {"Content-Length": "3"}):
        response = Response[None](status=200, headers=headers, pieces=pieces(b"ab", b"c"))
        start, *parts = await written(response)
        assert [part["body"] for part in parts] == [b"ab", b"c", b""]
        assert [part.get("more_body", False) for part in parts] == [True, True, False]
        lengths = [text for name, text in start["headers"] if name == b"content-length"]
        assert lengths == [text.encode() for text in headers.values()]


async def test_a_generator_of_pieces_is_closed_when_the_client_goes() -> None:
    closed = []

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    async def send(message: dict[str, Any]) -> None:
        if message["type"].endswith(".body"):
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await Response[None](status=200, pieces=endless()).send(send)
    assert closed == [True]


async def test_nothing_is_sent_where_there_is_no_body() -> None:
    start, body = await written(Response(status=304, headers={"ETag": '"x"'}))
    assert b"content-length" not in dict(start["headers"])
    assert body["body"] == b""


async def test_headers_that_allow_a_cache_are_kept() -> None:
    start, _ = await written(Response(status=200, headers={"Cache-Control": "no-cache"}, body=b""))
    assert [text for key, text in start["headers"] if key == b"cache-control"] == [b"no-cache"]


async def test_a_response_that_closes_its_connection_states_it() -> None:
    for closing in (False, True):
        start, _ = await written(Response(status=200, body=b""), closing=closing)
        assert ((b"connection", b"close") in start["headers"]) == closing


@pytest.mark.parametrize(
    ("response", "status", "code"),
    [
        (refused(Refusal("queue_full", "later")), 429, "queue_full"),
        (malformed(431), 431, "malformed_request"),
    ],
)
async def test_a_refusal_is_a_problem_document(
    response: Response[Any], status: int, code: str
) -> None:
    start, body = await written(response)
    assert start["status"] == status
    assert (b"content-type", b"application/problem+json") in start["headers"]
    assert json.loads(body["body"])["code"] == code


async def test_a_bug_does_not_leak(silent_log: None) -> None:
    response = internal_error(RuntimeError("the password is 1234"))
    assert response.status == 500
    assert b"1234" not in (response.body or b"")
