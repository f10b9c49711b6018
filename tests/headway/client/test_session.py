"""What is sent again, what a response means, and streams that are cut."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import httpx
import pytest

from headway.client.client import Client
from headway.client.error import ApiError, ServerUnreachable
from headway.client.session import RETRY_DELAYS_S
from headway.model.problem import Fault
from tests.headway.client.scripted import (
    HELD,
    REFUSED,
    RESET,
    URL,
    Server,
    problem,
    stream,
)
from tests.headway.sample import job


def test_a_url_with_a_path_is_kept() -> None:
    server = Server(job())
    with Client(URL + "/headway/", transport=httpx.MockTransport(server)) as client:
        client.get_job("job-1")
    assert server.last.url.path == "/headway/jobs/job-1"
    assert client.url == URL + "/headway"


def test_a_submit_is_sent_again_with_the_same_key() -> None:
    server = Server(REFUSED, RESET, httpx.ReadTimeout("late"), job())
    with server.client() as client:
        client.submit("story")
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert tuple(server.slept_s) == RETRY_DELAYS_S


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda c: c.retry_job("job-1", idempotency_key="k"), job()),
        (lambda c: c.reserve(5, idempotency_key="k"), HELD),
    ],
)
def test_a_request_with_a_key_is_sent_again(call: Callable[[Client], object], answer: Any) -> None:
    server = Server(RESET, answer)
    with server.client() as client:
        call(client)
    assert [request.headers["Idempotency-Key"] for request in server.requests] == ["k", "k"]


def test_a_dead_server_is_unreachable() -> None:
    server = Server(*[REFUSED] * 4)
    with server.client() as client, pytest.raises(ServerUnreachable) as caught:
        client.submit("story")
    assert str(caught.value) == f"no headway server answers at {URL}: connection refused"
    assert tuple(server.slept_s) == RETRY_DELAYS_S


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.retry_job("job-1"),
        lambda c: c.direct("story"),
        lambda c: c.reserve(5),
        lambda c: c.delete_job("job-1"),
        lambda c: c.patch_job("job-1", priority=1),
    ],
)
def test_a_request_that_may_have_been_received_is_not_sent_again(
    call: Callable[[Client], object],
) -> None:
    server = Server(REFUSED, RESET)
    with server.client() as client, pytest.raises(ServerUnreachable, match="connection reset"):
        call(client)
    assert len(server.requests) == 2, "only the one that never left is repeated"


def test_a_rejection_carries_the_problem_document() -> None:
    faults = [{"pointer": "/params/n", "message": "must be an integer"}]
    answer = problem(422, "invalid", errors=faults)
    with Server(answer).client() as client, pytest.raises(ApiError) as caught:
        client.submit("story")
    assert (caught.value.status, caught.value.code) == (422, "invalid")
    assert caught.value.detail == "correct it"
    assert caught.value.faults == (Fault("/params/n", "must be an integer"),)
    assert caught.value.retry_after_s is None


def test_a_rejection_carries_when_to_retry() -> None:
    answer = problem(429, "queue_full")
    answer.headers["Retry-After"] = "5"
    server = Server(answer)
    with server.client() as client, pytest.raises(ApiError) as caught:
        client.submit("story")
    assert caught.value.retry_after_s == 5
    assert server.slept_s == [], "only the caller may repeat a rejected request"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "not_found"),
        (422, "invalid"),
        (418, "invalid"),
        (502, "unavailable"),
        (307, "invalid"),
    ],
)
def test_a_rejection_without_a_problem_gets_the_code_of_its_status(status: int, code: str) -> None:
    server = Server(httpx.Response(status, html="<h1>nginx</h1>"))
    with server.client() as client, pytest.raises(ApiError, match="another program") as caught:
        client.get_job("job-1")
    assert (caught.value.status, caught.value.code) == (status, code)


def test_a_response_of_another_program_is_no_response() -> None:
    server = Server(httpx.Response(200, html="<h1>It works!</h1>"))
    with server.client() as client, pytest.raises(ServerUnreachable, match="another program"):
        client.get_job("job-1")


def test_a_field_of_a_newer_server_is_ignored() -> None:
    with Server(job(colour="red")).client() as client:
        assert client.get_job("job-1").job_id == "job-1"


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8787", "ftp://host", "http://", "http://h:99999", "http://h/?q", "http://["],
)
def test_a_wrong_url_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="write it like http://127"):
        Client(url)


def test_an_id_alone_moves_the_place_to_go_on_from() -> None:
    greeted = stream(b": hello\nid: 7\n\n")
    server = Server(greeted, stream(b"event: a\nid: 8\ndata: {}\n\n"))
    with server.client() as client:
        names = [event.name for event in islice(client.events(), 5)]
    assert names == ["open", "comment", "comment", "open", "a"]
    assert server.requests[1].headers["Last-Event-ID"] == "7"
