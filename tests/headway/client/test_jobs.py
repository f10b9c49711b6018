"""Jobs through the client: what is sent, pages, and watching one to its end."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from headway.client.client import Client
from headway.client.jobs import POLL_S
from headway.client.session import RESPONSE_TIMEOUT_S
from headway.model.job import JobStatus, NewJob
from tests.headway.client.scripted import (
    REFUSED,
    RESET,
    Pieces,
    Server,
    problem,
    stream,
)
from tests.headway.sample import job


def test_submit_sends_the_job_with_a_key_of_its_own() -> None:
    server = Server(job(), job())
    with server.client() as client:
        noon = datetime(2031, 5, 1, 12, tzinfo=timezone(timedelta(hours=9)))
        made = client.submit("story", {"n": 1}, priority=5, run_at=noon, labels={"team": "x"})
        first = server.last
        client.submit("story")
    assert made.status is JobStatus.QUEUED
    body = json.loads(first.content)
    assert body["params"] == {"n": 1}
    assert body["priority"] == 5
    assert body["run_at"] == "2031-05-01T03:00:00Z"
    assert body["labels"] == {"team": "x"}
    assert first.headers["Content-Type"] == "application/json"
    assert "Prefer" not in first.headers
    keys = {request.headers["Idempotency-Key"] for request in server.requests}
    assert len(keys) == 2


def test_submit_can_wait_for_the_end() -> None:
    server = Server(job("COMPLETED"))
    with server.client() as client:
        client.submit("story", wait_s=60, idempotency_key="mine")
    assert server.last.headers["Prefer"] == "wait=60"
    assert server.last.headers["Idempotency-Key"] == "mine"
    assert server.last.extensions["timeout"]["read"] == RESPONSE_TIMEOUT_S + 60


def test_a_time_without_zone_is_rejected_before_it_is_sent() -> None:
    server = Server()
    with server.client() as client, pytest.raises(ValueError, match="no time zone"):
        client.submit("story", run_at=datetime(2031, 5, 1))


def test_batch_sends_only_what_was_given() -> None:
    server = Server(RESET, {"jobs": [{"job_id": "job-1", "position": 4}]})
    when = datetime(2031, 5, 1, tzinfo=UTC)
    with server.client() as client:
        placed = client.submit_batch([NewJob(type="story", run_at=when)])
    assert (placed[0].job_id, placed[0].position) == ("job-1", 4)
    assert server.body == {"jobs": [{"type": "story", "run_at": "2031-05-01T00:00:00Z"}]}
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1


def test_patch_distinguishes_left_out_from_cleared() -> None:
    server = Server(job(version=2))
    with server.client() as client:
        client.patch_job("job-1", if_version=1, name=None, priority=3)
    assert server.last.method == "PATCH"
    assert server.body == {"name": None, "priority": 3}
    assert server.last.headers["If-Match"] == '"1"'


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [
        (lambda c: c.get_job("job-1"), "GET", "/jobs/job-1"),
        (lambda c: c.get_job("../health"), "GET", "/jobs/..%2Fhealth"),
        (lambda c: c.get_job(".."), "GET", "/jobs/%2E%2E"),
        (lambda c: c.get_job("a?b#c"), "GET", "/jobs/a%3Fb%23c"),
        (lambda c: c.cancel_job("job-1"), "POST", "/jobs/job-1/cancel"),
        (lambda c: c.delete_job("job-1"), "DELETE", "/jobs/job-1"),
        (lambda c: c.retry_job("job-1"), "POST", "/jobs/job-1/retry"),
    ],
)
def test_paths_of_jobs(call: Callable[[Client], object], method: str, path: str) -> None:
    server = Server(job())
    with server.client() as client:
        call(client)
    assert (server.last.method, server.last.url.raw_path.decode()) == (method, path)


def page(cursor: str | None, *ids: str) -> dict[str, Any]:
    jobs = [job(job_id=job_id) for job_id in ids]
    return {"jobs": jobs, "next_cursor": cursor, "counts": {"QUEUED": 3}}


def test_a_walk_follows_the_cursor_to_the_end() -> None:
    server = Server(page("c1", "job-1", "job-2"), page("c2"), page(None, "job-3"))
    with server.client() as client:
        found = [each.job_id for each in client.list_jobs(status=["QUEUED"], label=["a=b", "c=d"])]
    assert found == ["job-1", "job-2", "job-3"]
    sent = [request.url.params for request in server.requests]
    assert [params.get("cursor") for params in sent] == [None, "c1", "c2"]
    assert all(params.get_list("label") == ["a=b", "c=d"] for params in sent)
    assert all(params.get_list("status") == ["QUEUED"] for params in sent)
    assert "q" not in sent[0]


def test_a_limit_asks_for_no_more_than_it_needs() -> None:
    server = Server(page("c1", *["job-1"] * 500), page("c2", "job-2", "job-3"))
    with server.client() as client:
        assert len(list(client.list_jobs(limit=502))) == 502
    assert [request.url.params["limit"] for request in server.requests] == ["500", "2"]


def test_a_listed_job_marks_params_that_are_left_out() -> None:
    jobs = [job(), {**job(job_id="job-2"), "params": {}, "params_elided": True}]
    server = Server({"jobs": jobs, "next_cursor": None, "counts": {}})
    with server.client() as client:
        assert [each.params_elided for each in client.list_jobs()] == [False, True]


EVENT = b'id: 7\nevent: run_started\ndata: {"seq": 7}\n\n'


HEARTBEAT = b": still here\n\n"


def test_a_job_is_watched_by_its_events() -> None:
    pieces = Pieces(HEARTBEAT, EVENT, HEARTBEAT, EVENT, EVENT)
    server = Server(
        httpx.Response(200, stream=pieces), job("QUEUED"), job("RUNNING"), job("COMPLETED")
    )
    with server.client() as client:
        seen = [each.status for each in client.watch("job-1")]
    assert seen == ["QUEUED", "RUNNING", "COMPLETED"]
    assert server.requests[0].url.params["job_id"] == "job-1"
    assert server.slept_s == []
    assert pieces.taken == 4, "a heartbeat is no reason to look, and the end is the end"


def test_a_watch_outlives_a_restart_of_the_server() -> None:
    server = Server(
        stream(EVENT, HEARTBEAT),
        job("QUEUED"),
        problem(503, "shutting_down"),
        *[REFUSED] * 4,
        REFUSED,
        stream(),
        job("COMPLETED"),
    )
    with server.client() as client:
        assert [each.status for each in client.watch("job-1")] == ["QUEUED", "COMPLETED"]


def test_a_failed_request_for_the_job_is_repeated_at_the_next_heartbeat() -> None:
    server = Server(stream(EVENT, HEARTBEAT), job("QUEUED"), problem(503, "x"), job("COMPLETED"))
    with server.client() as client:
        assert [each.status for each in client.watch("job-1")] == ["QUEUED", "COMPLETED"]


def test_a_job_that_ended_while_the_stream_was_cut_is_returned() -> None:
    server = Server(stream(), job("RUNNING"), stream(), job("FAILED"))
    with server.client() as client:
        assert [each.status for each in client.watch("job-1")] == ["RUNNING", "FAILED"]


def test_without_events_a_job_is_polled() -> None:
    server = Server(problem(404, "not_found"), job("RUNNING"), job("RUNNING"), job("SKIPPED"))
    with server.client() as client:
        assert [each.status for each in client.watch("job-1")] == ["RUNNING", "RUNNING", "SKIPPED"]
    assert server.slept_s == [POLL_S, POLL_S]
