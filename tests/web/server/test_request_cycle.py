"""The cycle of a request: its body, its response, and the next request on its connection."""

from typing import Any

import pytest
import trio

from headway.model.problem import Refusal
from tests.web.server.conftest import GET, Serve, app_of, receive, responding, to_the_app
from web.api.response import Response, refused
from web.server.connection import IDLE_S
from web.server.request_cycle import BODY_TIMEOUT_S, Accepted


async def test_requests_that_come_together_are_answered_in_order(serve: Serve) -> None:
    seen: list[Any] = []

    async def answer(body: Any) -> Response[Any]:
        seen.append(body)
        await trio.sleep(1 / len(seen))
        return Response(body=body * 2, status=201, headers={"Location": "/there"})

    async with serve(None, responding(answer)) as served:
        client = await served.connect()
        for body in (b"1", b"2", b"3"):
            head = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n"
            await client.send_all(head + body)
        data = b""
        while data.count(b"\r\n\r\n") < 3:
            data += await client.receive_some()
    heads = data.split(b"HTTP/1.1 ")[1:]
    assert [head.rpartition(b"\r\n\r\n")[2] for head in heads] == [b"11", b"22", b"33"]
    for head in heads:
        assert head.startswith(b"201 ")
        lines = head.lower().split(b"\r\n")
        assert {b"content-length: 2", b"location: /there"} <= set(lines)
        assert sum(line.startswith(b"date: ") for line in lines) == 1


async def test_a_flood_of_requests_leaves_others_their_turn(serve: Serve) -> None:
    answered = 0

    async def answer(body: Any) -> Response[Any]:
        nonlocal answered
        answered += 1
        return Response(body=b"x", status=200)

    async with serve(None, responding(answer)) as served:
        client = await served.connect()
        await client.send_all(GET * 100)
        turns = 0
        while answered < 100:
            await trio.lowlevel.checkpoint()
            turns += 1
        assert turns > 50


async def test_a_body_in_pieces_is_waited_for(serve: Serve) -> None:
    async def answer(body: Any) -> Response[Any]:
        return Response(body=body, status=200)

    async with serve(None, responding(answer)) as served:
        client = await served.connect()
        for piece in (
            b"POST /x HTTP/1.1\r\nHost: h\r\nContent-",
            b"Length: 4\r\n\r\nab",
            b"cd",
        ):
            await client.send_all(piece)
            await trio.sleep(1)
        assert (await client.receive_some()).endswith(b"\r\n\r\nabcd")


async def never(body: Any) -> Response[Any]:
    raise AssertionError("the request was not accepted")


LIMITED = {"in the reading task": Accepted(4, never), "through the app": Accepted(4)}
"""Both paths, with bodies of at most four bytes."""


@pytest.mark.parametrize("path", LIMITED)
async def test_a_body_that_does_not_come_is_refused(serve: Serve, path: str) -> None:
    async with serve(None, lambda scope: LIMITED[path]) as served:
        client = await served.connect()
        begin = trio.current_time()
        await client.send_all(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
        data = await receive(client, 1 << 20)
        assert trio.current_time() - begin == pytest.approx(BODY_TIMEOUT_S, abs=1)
    assert data.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in data
    assert b"\r\nconnection: close\r\n" in data.lower()


@pytest.mark.parametrize("path", LIMITED)
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5\r\n\r\n",  # before the body comes
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n",  # before its end
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n" + GET,
    ],
)
async def test_a_body_that_is_too_large_is_refused(serve: Serve, path: str, rest: bytes) -> None:
    async with serve(None, lambda scope: LIMITED[path]) as served:
        client = await served.connect()
        await client.send_all(b"POST /x HTTP/1.1\r\nHost: h\r\n" + rest)
        data = await receive(client, 1 << 20)
    assert data.startswith(b"HTTP/1.1 413 ")
    assert data.count(b"HTTP/1.1") == 1
    assert b"at most 4 bytes" in data
    assert b"\r\nconnection: close\r\n" in data.lower()


async def test_the_app_is_started_with_the_whole_body(serve: Serve) -> None:
    started = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started.append([await receive(), await receive()])
        await app_of(b"x")(scope, receive, send)

    async with serve(app) as served:
        client = await served.connect()
        for piece in (b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\na", b"bc"):
            await client.send_all(piece)
            await trio.sleep(1)
            assert started == []
        await client.send_all(b"d")
        assert (await client.receive_some()).endswith(b"x")
    assert started == [
        [
            {"type": "http.request", "body": b"abcd", "more_body": True},
            {"type": "http.request", "body": b"", "more_body": False},
        ]
    ]


@pytest.mark.parametrize(("method", "has_body"), [(b"POST", True), (b"HEAD", False)])
async def test_a_request_that_is_rejected_by_its_head_ends_the_connection(
    serve: Serve, method: bytes, has_body: bool
) -> None:
    def reject(scope: Any) -> Response[Any]:
        return refused(Refusal("bad_host", "another server"))

    async with serve(None, reject) as served:
        client = await served.connect()
        await client.send_all(method + b" /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
        head, _, body = (await receive(client, 1 << 20)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 421 ")
    assert (b"bad_host" in body) == has_body


async def test_what_is_no_request_is_rejected_with_a_body_also_after_a_head(serve: Serve) -> None:
    async with serve(app_of(b"")) as served:
        client = await served.connect()
        await client.send_all(GET.replace(b"GET", b"HEAD"))
        assert (await client.receive_some()).endswith(b"\r\n\r\n")
        await client.send_all(b"nonsense\r\n\r\n")
        data = await receive(client, 1 << 20)
    assert data.startswith(b"HTTP/1.1 400 ")
    assert b"malformed_request" in data


async def test_an_answer_that_takes_long_has_no_deadline(serve: Serve) -> None:
    async def answer(body: Any) -> Response[Any]:
        await trio.sleep(10 * IDLE_S)
        return Response(body=b"done", status=200)

    async with serve(None, responding(answer)) as served:
        client = await served.connect()
        await client.send_all(GET)
        assert (await client.receive_some()).endswith(b"done")


async def test_a_client_that_has_gone_ends_its_own_connection_only(serve: Serve) -> None:
    async def answer(body: Any) -> Response[Any]:
        await trio.sleep(1)
        return Response(body=b"x" * (1 << 20), status=200)

    async with serve(None, responding(answer)) as served:
        client = await served.connect()
        await client.send_all(GET)
        await trio.sleep(0.5)
        await client.aclose()
        await served.until_none_is_connected()


async def test_the_response_of_a_draining_server_closes_its_connection(serve: Serve) -> None:
    async def answer(body: Any) -> Response[Any]:
        await trio.sleep(1)
        return Response(body=b"x", status=200)

    async with serve(None, responding(answer)) as served:
        client = await served.connect()
        await client.send_all(GET)
        await trio.sleep(0.5)
        served.server.drain()
        assert b"\r\nconnection: close\r\n" in (await client.receive_some()).lower()
        assert await client.receive_some() == b""


async def test_what_it_does_not_take_goes_to_the_app(serve: Serve) -> None:
    async with serve(app_of(b"the app"), to_the_app) as served:
        client = await served.connect()
        await client.send_all(GET)
        data = b""
        while not data.endswith(b"the app"):
            data += await client.receive_some()
