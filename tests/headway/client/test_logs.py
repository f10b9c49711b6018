"""Logs through the client."""

import httpx
import pytest

from headway.client.error import ServerUnreachable
from headway.client.session import RECONNECT_DELAYS_S
from tests.headway.client.scripted import (
    END,
    REFUSED,
    Pieces,
    Server,
    log_event,
    problem,
    stream,
)


def test_a_part_of_the_log_is_requested_as_a_range() -> None:
    server = Server(httpx.Response(206, stream=Pieces(b"ell")))
    with server.client() as client:
        assert b"".join(client.log("job-1", start=1, end=4)) == b"ell"
    assert server.last.headers["Range"] == "bytes=1-3"


def test_a_log_is_followed_to_its_end() -> None:
    events = b": hello\n\n" + log_event("one\n", 4) + log_event("two\u2028\n", 11) + END
    pieces = [events[start : start + 7] for start in range(0, len(events), 7)]
    server = Server(stream(*pieces, b"event: log\nid: 99\ndata: no more\n\n"))
    with server.client() as client:
        assert b"".join(client.follow_log("job-1")) == "one\ntwo\u2028\n".encode()
    assert server.last.headers["Accept"] == "text/event-stream"
    assert "Last-Event-ID" not in server.last.headers


def test_a_cut_log_resumes_where_it_was() -> None:
    broken = stream(log_event("one ", 4), log_event("two ", 8)[:-3], breaks=True)
    server = Server(broken, REFUSED, problem(503, "unavailable"), stream(log_event("two", 7), END))
    with server.client() as client:
        assert list(client.follow_log("job-1")) == [b"one ", b"two"]
    assert [request.headers.get("Last-Event-ID") for request in server.requests] == [
        None,
        "4",
        "4",
        "4",
    ]
    assert broken.is_closed


def test_bytes_that_are_not_text_are_requested_as_bytes() -> None:
    server = Server(
        stream(log_event("ab", 2), log_event("\ufffd!", 4), END),
        httpx.Response(206, stream=Pieces(b"\xff!")),
    )
    with server.client() as client:
        assert b"".join(client.follow_log("job-1")) == b"ab\xff!"
    assert server.last.headers["Range"] == "bytes=2-3"


@pytest.mark.parametrize(
    "answer", [httpx.Response(206, stream=Pieces(b"other")), problem(416, "range_not_satisfiable")]
)
def test_a_log_whose_middle_was_dropped_is_returned_as_it_arrived(answer: httpx.Response) -> None:
    server = Server(stream(log_event("a\ufffd", 2), END), answer)
    with server.client() as client:
        assert b"".join(client.follow_log("job-1")) == "a\ufffd".encode()


def test_a_log_that_is_cut_again_and_again_is_unreachable() -> None:
    greeted = [stream(b": hello\n\n") for _ in RECONNECT_DELAYS_S]
    server = Server(stream(log_event("a", 1)), *greeted)
    with server.client() as client, pytest.raises(ServerUnreachable, match="closing"):
        list(client.follow_log("job-1"))
    assert tuple(server.slept_s) == RECONNECT_DELAYS_S


def test_a_silent_log_may_be_cut_as_often_as_it_likes() -> None:
    alive = [stream(b": hello\n\n", b": heartbeat\n\n") for _ in range(20)]
    server = Server(*alive, stream(log_event("a", 1), END))
    with server.client() as client:
        assert list(client.follow_log("job-1")) == [b"a"]


def test_a_log_of_another_program_is_no_response() -> None:
    server = Server(stream(b"event: log\nid: 1\ndata: hello\n\n"))
    with server.client() as client, pytest.raises(ServerUnreachable, match="not those of headway"):
        list(client.follow_log("job-1"))
