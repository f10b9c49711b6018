"""The client against a server that is a function: what it sends, what it makes of the answers."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any

import httpx
import pytest

from headway.client.client import POLL_S, ApiError, Client, ServerUnreachable
from headway.client.transport import (
    ANSWER_TIMEOUT_S,
    EVENT_BYTES_MAX,
    RECONNECT_DELAYS_S,
    RETRY_DELAYS_S,
    ServerEvent,
    parse_events,
    split_lines,
)
from headway.model.job import JobStatus, NewJob
from headway.model.problem import Fault
from tests.headway.sample import job, run

URL = "http://127.0.0.1:8787"
Answer = httpx.Response | Exception


class Server:
    """Answers each request with the next of `answers`; an exception is raised in its place."""

    def __init__(self, *answers: Answer | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept_s: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert self.answers, f"one request too many: {request.method} {request.url}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, json=answer) if isinstance(answer, dict) else answer

    def client(self) -> Client:
        return Client(URL, transport=httpx.MockTransport(self), sleep=self.slept_s.append)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    @property
    def body(self) -> Any:
        return json.loads(self.last.content)


class Pieces(httpx.SyncByteStream):
    """A body that comes in these pieces, then ends or breaks."""

    def __init__(self, *pieces: bytes, breaks: bool = False) -> None:
        self.pieces = pieces
        self.breaks = breaks
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece
        if self.breaks:
            raise httpx.ReadError("[Errno 104] Connection reset by peer")


def stream(*pieces: bytes, breaks: bool = False) -> httpx.Response:
    headers = {"Content-Type": "text/event-stream"}
    return httpx.Response(200, headers=headers, stream=Pieces(*pieces, breaks=breaks))


def log_event(text: str, offset: int) -> bytes:
    data = json.dumps({"text": text}, ensure_ascii=False)
    return f"event: log\nid: {offset}\ndata: {data}\n\n".encode()


def problem(status: int, code: str, **extra: Any) -> httpx.Response:
    document = {
        "type": f"urn:headway:problem:{code}",
        "title": "No",
        "status": status,
        "detail": "say it differently",
        "code": code,
    }
    return httpx.Response(status, json=document | extra)


END = b'event: end\ndata: {"status": "COMPLETED"}\n\n'
REFUSED = httpx.ConnectError("[Errno 111] Connection refused")
RESET = httpx.ReadError("[Errno 104] Connection reset by peer")


# ---- what is sent ------------------------------------------------------------------------------


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
    assert server.last.extensions["timeout"]["read"] == ANSWER_TIMEOUT_S + 60


def test_a_time_without_zone_is_refused_before_it_is_sent() -> None:
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


def test_patch_tells_left_out_from_cleared() -> None:
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


def test_a_url_with_a_path_is_kept() -> None:
    server = Server(job())
    with Client(URL + "/headway/", transport=httpx.MockTransport(server)) as client:
        client.get_job("job-1")
    assert server.last.url.path == "/headway/jobs/job-1"
    assert client.url == URL + "/headway"


def test_scheduler_stop_waits_as_long_as_it_says() -> None:
    status: dict[str, Any] = {
        "scheduler_running": False,
        "current_job_id": None,
        "running_job_ids": [],
        "queue_length": 0,
        "eligible": 0,
        "deferred": 0,
        "cumulative_stats": {
            "total_executed": 0,
            "succeeded": 0,
            "failed": 0,
            "cancelled": 0,
            "skipped": 0,
        },
        "has_active_reservation": False,
        "concurrency": 1,
        "started_at": "2031-05-01T08:00:00Z",
        "durability": "full",
        "host_condition": None,
    }
    server = Server(status)
    with server.client() as client:
        assert client.scheduler_stop(300).scheduler_running is False
    assert server.body == {"wait_s": 300}
    assert server.last.extensions["timeout"]["read"] == ANSWER_TIMEOUT_S + 300


def test_config_is_read_or_changed() -> None:
    config = {"concurrency": 2, "types": {"story": None}, "overridden": []}
    server = Server(config, config)
    with server.client() as client:
        client.scheduler_config()
        client.scheduler_config(concurrency=2)
    assert [request.method for request in server.requests] == ["GET", "PATCH"]
    assert server.body == {"concurrency": 2}


def test_a_direct_run_is_waited_for_without_end() -> None:
    server = Server(run(job_id=None, log_tail="hello\n"))
    with server.client() as client:
        assert client.direct("story", {"n": 1}).log_tail == "hello\n"
    assert server.last.extensions["timeout"]["read"] is None
    assert server.body == {"params": {"n": 1}}


def test_all_reservations_are_released_in_one_request() -> None:
    server = Server({"reservations": []})
    with server.client() as client:
        assert client.release_all() == []
    assert [(r.method, r.url.raw_path) for r in server.requests] == [
        ("DELETE", b"/scheduler/reservations")
    ]


HELD = {
    "reservation_id": "claim/1",
    "kind": "hold",
    "state": "HELD",
    "run_id": None,
    "ttl_s": 5.0,
    "created_at": "2031-05-01T08:00:00Z",
    "held_at": "2031-05-01T08:00:01Z",
    "expires_at": "2031-05-01T08:00:06Z",
    "ended_at": None,
    "end_reason": None,
}


def test_reservations_are_listed_and_looked_at() -> None:
    server = Server({"reservations": [HELD]}, HELD)
    with server.client() as client:
        (claim,) = client.reservations()
        assert client.get_reservation(claim.reservation_id) == claim
    assert claim.state == "HELD"
    paths = [request.url.raw_path for request in server.requests]
    assert paths == [b"/scheduler/reservations", b"/scheduler/reservations/claim%2F1"]


def test_artifacts_may_be_waited_for() -> None:
    listed = {"artifacts": [], "collection": {"complete": False, "reason": "its disk failed"}}
    server = Server(listed, listed)
    with server.client() as client:
        assert client.artifacts("job-1") == client.artifacts("job-1", wait_s=9) == []
    assert [request.headers.get("prefer") for request in server.requests] == [None, "wait=9"]


def test_artifacts_are_named_with_their_slashes() -> None:
    listed = {
        "artifacts": [{"name": "a/b c.md", "size_bytes": 2, "sha256": "0" * 64}],
        "collection": {"complete": True, "reason": None},
    }
    server = Server(listed, httpx.Response(200, stream=Pieces(b"o", b"k")))
    with server.client() as client:
        (artifact,) = client.artifacts("job-1")
        assert b"".join(client.artifact("job-1", artifact.name)) == b"ok"
    assert server.last.url.raw_path == b"/jobs/job-1/artifacts/a/b%20c.md"


def test_a_part_of_the_log_is_asked_for_as_a_range() -> None:
    server = Server(httpx.Response(206, stream=Pieces(b"ell")))
    with server.client() as client:
        assert b"".join(client.log("job-1", start=1, end=4)) == b"ell"
    assert server.last.headers["Range"] == "bytes=1-3"


# ---- pages -------------------------------------------------------------------------------------


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


# ---- trouble -----------------------------------------------------------------------------------


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
def test_what_has_a_key_is_sent_again(call: Callable[[Client], object], answer: Any) -> None:
    server = Server(RESET, answer)
    with server.client() as client:
        call(client)
    assert [request.headers["Idempotency-Key"] for request in server.requests] == ["k", "k"]


def test_a_listed_job_says_that_its_params_are_left_out() -> None:
    jobs = [job(), {**job(job_id="job-2"), "params": {}, "params_elided": True}]
    server = Server({"jobs": jobs, "next_cursor": None, "counts": {}})
    with server.client() as client:
        assert [each.params_elided for each in client.list_jobs()] == [False, True]


def test_a_dead_server_is_given_up() -> None:
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
def test_what_may_have_been_received_is_not_sent_again(call: Callable[[Client], object]) -> None:
    server = Server(REFUSED, RESET)
    with server.client() as client, pytest.raises(ServerUnreachable, match="connection reset"):
        call(client)
    assert len(server.requests) == 2, "only the one that never left is repeated"


def test_a_refusal_carries_what_the_server_said() -> None:
    faults = [{"pointer": "/params/n", "message": "must be an integer"}]
    answer = problem(422, "invalid", errors=faults)
    with Server(answer).client() as client, pytest.raises(ApiError) as caught:
        client.submit("story")
    assert (caught.value.status, caught.value.code) == (422, "invalid")
    assert caught.value.detail == "say it differently"
    assert caught.value.faults == (Fault("/params/n", "must be an integer"),)
    assert caught.value.retry_after_s is None


def test_a_refusal_says_when_to_come_back() -> None:
    answer = problem(429, "queue_full")
    answer.headers["Retry-After"] = "5"
    server = Server(answer)
    with server.client() as client, pytest.raises(ApiError) as caught:
        client.submit("story")
    assert caught.value.retry_after_s == 5
    assert server.slept_s == [], "a refusal is an answer; whether to ask again is the caller's"


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
def test_a_refusal_in_foreign_words_gets_the_code_of_its_status(status: int, code: str) -> None:
    server = Server(httpx.Response(status, html="<h1>nginx</h1>"))
    with server.client() as client, pytest.raises(ApiError, match="another program") as caught:
        client.get_job("job-1")
    assert (caught.value.status, caught.value.code) == (status, code)


def test_an_answer_that_is_not_headways_is_no_answer() -> None:
    server = Server(httpx.Response(200, html="<h1>It works!</h1>"))
    with server.client() as client, pytest.raises(ServerUnreachable, match="another program"):
        client.get_job("job-1")


def test_a_field_of_a_newer_server_is_passed_over() -> None:
    with Server(job(colour="red")).client() as client:
        assert client.get_job("job-1").job_id == "job-1"


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8787", "ftp://host", "http://", "http://h:99999", "http://h/?q", "http://["],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write it like http://127"):
        Client(url)


# ---- event streams -----------------------------------------------------------------------------


def test_lines_end_at_newlines_only() -> None:
    text = "a\u2028b\r\nc\x85d\n\nrest".encode()
    whole = ["a\u2028b", "c\x85d", ""]
    assert list(split_lines([text])) == whole
    assert list(split_lines(bytes([byte]) for byte in text)) == whole


def test_events_are_read_as_the_standard_says() -> None:
    lines = [
        ": heartbeat",
        "event: log",
        "id: 5",
        "data: one",
        "data:  two",
        "unknown: x",
        "",
        "id: 6",
        "",
        "data",
        "",
        "data: cut short",
    ]
    assert list(parse_events(lines)) == [
        ServerEvent(name="comment"),
        ServerEvent(name="log", id="5", data="one\n two"),
        ServerEvent(name="comment", id="6"),
        ServerEvent(name="message", id="6", data=""),
    ]


def test_an_id_alone_moves_the_place_to_go_on_from() -> None:
    lines = [": hello", "retry: 5", "id: 3", "", ": still", "id: 3", "", "id: 9", "", "data: x", ""]
    assert list(parse_events(lines)) == [
        ServerEvent(name="comment"),
        ServerEvent(name="comment", id="3"),
        ServerEvent(name="comment"),
        ServerEvent(name="comment", id="9"),
        ServerEvent(name="message", id="9", data="x"),
    ]
    greeted = stream(b": hello\nid: 7\n\n")
    server = Server(greeted, stream(b"event: a\nid: 8\ndata: {}\n\n"))
    with server.client() as client:
        names = [event.name for event in islice(client.events(), 5)]
    assert names == ["open", "comment", "comment", "open", "a"]
    assert server.requests[1].headers["Last-Event-ID"] == "7"


def test_events_are_asked_for_by_what_they_are_about() -> None:
    server = Server(stream(b": hello\n\n"))
    with server.client() as client:
        next(client.events("job-1", after=4, kind=["run.", "job.due"], type=["story"]))
    assert server.last.url.params.multi_items() == [
        ("job_id", "job-1"), ("after", "4"), ("kind", "run."), ("kind", "job.due"),
        ("type", "story"),
    ]  # fmt: skip


def test_an_event_without_end_is_refused() -> None:
    piece = b"x" * (EVENT_BYTES_MAX // 4)
    with pytest.raises(httpx.RemoteProtocolError):
        list(split_lines([piece] * 5))
    with pytest.raises(httpx.RemoteProtocolError):
        list(parse_events([f"data: {piece.decode()}"] * 5))


def test_a_log_is_followed_to_its_end() -> None:
    events = b": hello\n\n" + log_event("one\n", 4) + log_event("two\u2028\n", 11) + END
    pieces = [events[start : start + 7] for start in range(0, len(events), 7)]
    server = Server(stream(*pieces, b"event: log\nid: 99\ndata: no more\n\n"))
    with server.client() as client:
        assert b"".join(client.follow_log("job-1")) == "one\ntwo\u2028\n".encode()
    assert server.last.headers["Accept"] == "text/event-stream"
    assert "Last-Event-ID" not in server.last.headers


def test_a_cut_log_goes_on_where_it_was() -> None:
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


def test_bytes_that_are_no_text_are_fetched_as_bytes() -> None:
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
def test_a_log_whose_middle_was_dropped_is_shown_as_it_came(answer: httpx.Response) -> None:
    server = Server(stream(log_event("a\ufffd", 2), END), answer)
    with server.client() as client:
        assert b"".join(client.follow_log("job-1")) == "a\ufffd".encode()


def test_a_log_that_is_cut_again_and_again_is_given_up() -> None:
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


def test_a_log_of_another_program_is_no_answer() -> None:
    server = Server(stream(b"event: log\nid: 1\ndata: hello\n\n"))
    with server.client() as client, pytest.raises(ServerUnreachable, match="not those of headway"):
        list(client.follow_log("job-1"))


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


def test_a_look_that_failed_is_made_up_for_at_the_next_heartbeat() -> None:
    server = Server(stream(EVENT, HEARTBEAT), job("QUEUED"), problem(503, "x"), job("COMPLETED"))
    with server.client() as client:
        assert [each.status for each in client.watch("job-1")] == ["QUEUED", "COMPLETED"]


def test_a_job_that_ended_while_the_stream_was_cut_is_seen() -> None:
    server = Server(stream(), job("RUNNING"), stream(), job("FAILED"))
    with server.client() as client:
        assert [each.status for each in client.watch("job-1")] == ["RUNNING", "FAILED"]


def test_without_events_a_job_is_polled() -> None:
    server = Server(problem(404, "not_found"), job("RUNNING"), job("RUNNING"), job("SKIPPED"))
    with server.client() as client:
        assert [each.status for each in client.watch("job-1")] == ["RUNNING", "RUNNING", "SKIPPED"]
    assert server.slept_s == [POLL_S, POLL_S]
