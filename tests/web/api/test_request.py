"""A request: its headers, its query and its body, as ASGI gives them."""

from typing import Any

import pytest

from headway.model.problem import Refusal
from web.api.capacity import PERMIT, Streams
from web.api.request import QUERY_FIELDS_MAX, Request


def request_with(query: bytes = b"", *headers: tuple[bytes, bytes], permit: Any = None) -> Request:
    scope = {"method": "GET", "path": "/x", "query_string": query, "headers": list(headers)}
    return Request({**scope, PERMIT: permit}, b"body")


def test_its_head_is_that_of_the_scope() -> None:
    request = request_with(b"", (b"x-word", b"caf\xe9"))
    assert (request.method, request.path, request.body) == ("GET", "/x", b"body")
    assert request.header(b"x-word") == "café"
    assert request.header(b"other") is None


def test_a_header_that_is_given_twice_is_one_list() -> None:
    request = request_with(b"", (b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    assert (request.header(b"a"), request.header(b"b")) == ("1, 3", "2")


@pytest.mark.parametrize(
    ("headers", "has_body"),
    [
        ([], False),
        ([(b"content-length", b"0")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_a_body_follows_a_head_that_announces_one(
    headers: list[tuple[bytes, bytes]], has_body: bool
) -> None:
    assert request_with(b"", *headers).has_body == has_body


def test_a_query_keeps_every_value() -> None:
    query = request_with(b"a=1&b=&a=%C3%A9&c").query()
    assert query == {"a": ["1", "é"], "b": [""], "c": [""]}
    assert request_with().query() == {}


def test_a_query_has_a_limit() -> None:
    assert len(request_with(b"&".join([b"a=1"] * QUERY_FIELDS_MAX)).query()["a"]) == 200
    with pytest.raises(Refusal, match="at most 200"):
        request_with(b"&".join([b"a=1"] * (QUERY_FIELDS_MAX + 1))).query()


def test_it_is_counted_as_a_stream_once() -> None:
    streams = Streams(2, 1)
    with streams.permit(("127.0.0.1", 1)) as permit:
        request = request_with(permit=permit)
        request.take_stream()
        request.take_stream()
        assert streams.taken == 1
        with streams.permit(("127.0.0.1", 2)) as another, pytest.raises(Refusal) as refused:
            request_with(permit=another).take_stream()
    assert refused.value.code == "rate_limited"
    assert streams.taken == 0
