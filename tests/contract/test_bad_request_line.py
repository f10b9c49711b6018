"""Odd paths, methods, queries and headers: each a documented 4xx."""

import json

import pytest

from tests.contract.server import Server


@pytest.mark.parametrize(
    ("path", "one", "count"),
    [
        ("/jobs", "label=a=b", 1_100),
        ("/jobs", "label=a={}", 60),
        ("/jobs", "type=ok", 3_000),
        ("/jobs", "type={}", 51),
        ("/jobs", "status=QUEUED", 1_000),
        ("/jobs", "nothing={}", 5_000),
        ("/events", "kind=run.", 3_000),
        ("/events", "type=ok", 201),
        ("/health", "a={}", 5_000),
        ("/jobs", "&", 60_000),
    ],
)
def test_a_query_without_end_is_refused(server: Server, path: str, one: str, count: int) -> None:
    query = "&".join(one.format(n) for n in range(count))
    head = f"GET {path}?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    status, body = server.speak(head.encode())
    # Beyond 64 KiB of head there is no HTTP any more.
    assert status == 422 or len(head) > 65_000
    assert len(body) < 20_000


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/jobs/", "/JOBS", "/jobs//runs", "/jobs/%00", "/jobs/%ff",
     "/jobs/%ED%A0%80", "/jobs/..%2f..%2fetc%2fpasswd", "/jobs/%2e%2e/%2e%2e", "/../jobs",
     "/jobs/..", "/./jobs", "/jobs/%", "/jobs/%zz", "/jobs/%25", "/jobs/x/log/y", "/jobs/x%0d%0ay",
     "/docs/../jobs", "/job-types/%00", "/job-types/../jobs", "/scheduler", "/scheduler/nothing",
     "/scheduler/reservations/%00", "/direct", "/direct/ok/more", "/jobs;x=1", "/static/x",
     "/jobs/" + "x" * 5000, "*", "/jobs\\..\\x", "/jobs/{job_id}"],
    ids=lambda path: path[:30],
)  # fmt: skip
def test_an_odd_path_leads_nowhere(server: Server, path: str) -> None:
    status, body = server.speak(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert status in (404, 405), (status, body)
    assert json.loads(body)["code"] in ("not_found", "method_not_allowed")


def test_a_method_that_is_not_there_names_those_that_are(server: Server) -> None:
    for method, path, allowed in (
        ("PUT", "/jobs", {"GET", "POST"}),
        ("DELETE", "/jobs", {"GET", "POST"}),
        ("POST", "/scheduler/status", {"GET"}),
        ("GET", "/scheduler/start", {"POST"}),
        ("FROBNICATE", "/jobs", {"GET", "POST"}),
    ):
        answer = server.client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        named = set(answer.headers["allow"].replace(" ", "").split(","))
        assert named - {"HEAD", "OPTIONS"} == allowed


QUERIES = [
    "limit=0", "limit=501", "limit=-1", "limit=x", "limit=1.5", "limit=", f"limit={2**70}",
    "limit=1&limit=2", "limit=%00", "limit=" + "9" * 5000, "cursor=", "cursor=x", "cursor=%00",
    "cursor=%ff", "cursor=LTE", "cursor=MQ&cursor=MQ", "cursor=" + "OTk5" * 2000, "cursor=MS4w",
    "status=queued", "status=", "status=QUEUED&status=nonsense", "status=%00", "order=up", "order=",
    "label=x", "label=", "label==x", "q=" + "x" * 201, "q=a&q=b",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:30])
def test_an_odd_query_is_refused(server: Server, query: str) -> None:
    answer = server.client.get(f"/jobs?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    "query", ["q=%00", "q=%ff", "q=%ED%A0%80", "q=%25", "q=_", "q='", "type=%00", "type=%ff", "q="]
)
def test_a_query_that_finds_nothing_is_no_accident(server: Server, query: str) -> None:
    assert server.client.get(f"/jobs?{query}").status_code in (200, 422)


def test_an_unknown_query_parameter_is_refused(server: Server) -> None:
    """A typing error must not list everything: unknown fields in a request are refused."""
    answer = server.client.get("/jobs?statsu=FAILED")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=1.5", "after=1&after=2"])
def test_an_odd_place_in_the_events_is_refused(server: Server, query: str) -> None:
    assert server.client.get(f"/events?{query}").status_code == 422


@pytest.mark.parametrize("key", [b"", b"x" * 256])
def test_an_odd_idempotency_key_is_refused(server: Server, key: bytes) -> None:
    headers = {b"Idempotency-Key": key}
    answer = server.client.post("/jobs", json={"type": "ok"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_bytes_in_headers_are_no_accident(server: Server) -> None:
    job = server.submit("ok", run_at="2126-01-01T00:00:00Z")
    odd = b"\xff\xfe \xe9"
    for name in (b"Idempotency-Key", b"Prefer"):
        body = {"type": "ok", "run_at": "2126-01-01T00:00:00Z"}
        answer = server.client.post("/jobs", json=body, headers={name: odd})
        assert answer.status_code in (201, 422)
    answer = server.client.patch(f"/jobs/{job['job_id']}", json={}, headers={b"If-Match": odd})
    assert answer.status_code == 412
    answer = server.client.get(f"/jobs/{job['job_id']}/log", headers={b"Range": odd})
    assert answer.status_code == 200
