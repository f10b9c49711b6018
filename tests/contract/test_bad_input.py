"""What no honest client sends: each a documented 4xx, and nothing of it is left.

That none of it is an accident is seen by the fixture `server`, in the log after each test.
"""

import json
import socket
import struct
from contextlib import suppress
from typing import Any

import pytest

from tests.contract.server import Server

JSON = {"Content-Type": "application/json"}
POST_PATHS = [
    "/jobs", "/jobs/batch", "/direct/echo", "/jobs/echo/trigger", "/scheduler/stop",
    "/scheduler/reservations",
]  # fmt: skip


def deep(levels: int) -> bytes:
    return b'{"type": "stdin", "params": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


MALFORMED = {
    "nothing": b"",
    "no end": b'{"type": "ok"',
    "two values": b'{"type": "ok"} {}',
    "not UTF-8": b'{"type": "ok", "name": "\xff"}',
    "cut UTF-8": b'{"type": "ok", "name": "\xe2\x82"}',
    "overlong UTF-8": b'{"type": "ok", "name": "\xc0\xaf"}',
    "UTF-8 surrogate": b'{"type": "ok", "name": "\xed\xa0\x80"}',
    "UTF-16": '{"type": "ok"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"type": "ok"}',
    "NaN": b'{"type": "echo", "params": {"ratio": NaN}}',
    "Infinity": b'{"type": "echo", "params": {"ratio": -Infinity}}',
    "key twice": b'{"type": "ok", "type": "ok"}',
    "key twice inside": b'{"type": "ok", "params": {"text": "a", "text": "b"}}',
    "key twice, escaped": b'{"type": "ok", "params": {"text": "a", "te\\u0078t": "b"}}',
    "lone surrogate": b'{"type": "ok", "name": "\\ud800"}',
    "lone low surrogate": b'{"type": "ok", "params": {"text": "\\udc00 x"}}',
    "surrogate in a key": b'{"type": "ok", "labels": {"\\ud83d": "x"}}',
    "65 deep": deep(64),
    "200,000 deep": deep(200_000),
    "200,000 arrays": b"[" * 200_000 + b"]" * 200_000,
    "200,000 open arrays": b"[" * 200_000,
    "control character": b'{"type": "ok", "name": "\n"}',
    "single quotes": b"{'type': 'ok'}",
    "comment": b'{"type": "ok" /* no */}',
    "trailing comma": b'{"type": "ok",}',
    "5,000 digits": b'{"type": "ok", "priority": ' + b"9" * 5000 + b"}",
    "form": b"type=ok",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_is_refused_everywhere(server: Server, name: str) -> None:
    before = server.last_seq()
    for path in POST_PATHS:
        if name == "nothing" and path not in ("/jobs", "/jobs/batch", "/scheduler/reservations"):
            continue  # their bodies are optional
        answer = server.client.post(path, content=MALFORMED[name], headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json"), path
    assert server.last_seq() == before


def test_a_nesting_of_64_is_not_too_deep(server: Server) -> None:
    body = deep(62)  # and the body itself, and params
    answer = server.client.post("/jobs", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


UNFIT_PARAMS = [
    ("ok", {"text": "a\0b"}, "/params/text"),
    ("ok", {"text": "x" * 140_000}, "/params/text"),
    ("ok", {"text": "이" * 50_000}, "/params/text"),
    ("echo", {"tags": ["fine", "a\0b"]}, "/params/tags/1"),
    ("echo", {"tags": ["x" * 100_000] * 12}, "/params"),
    ("echo", {"count": 2**70}, "/params/count"),
    ("echo", {"count": -(2**70)}, "/params/count"),
    ("echo", {"ratio": 2**70}, "/params/ratio"),
    ("stdin", {"number": 2**63}, "/params/number"),
    ("stdin", {"text": "a\0b"}, "/params/text"),
    ("stdin", {"te\0xt": 1}, "/params/te\0xt"),
]


@pytest.mark.parametrize(
    ("type", "params", "pointer"),
    UNFIT_PARAMS,
    ids=lambda value: str(value)[:20],
)
def test_a_value_that_no_program_could_be_given_is_refused(
    server: Server, type: str, params: Any, pointer: str
) -> None:
    before = server.last_seq()
    for path, body, at in (
        ("/jobs", {"type": type, "params": params}, ""),
        ("/jobs/batch", {"jobs": [{"type": type, "params": params}]}, "/jobs/0"),
        (f"/direct/{type}", {"params": params}, ""),
    ):
        answer = server.client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert at + pointer in [fault["pointer"] for fault in answer.json()["errors"]]
    assert server.client.post(f"/jobs/{type}/trigger", json=params).status_code == 422
    assert server.last_seq() == before


def test_the_longest_argument_that_linux_takes_is_taken(server: Server) -> None:
    text = "x" * (128 * 1024 - 2 - len("--name="))
    assert server.run("echo", {"name": text})["status"] == "COMPLETED"
    more = {"type": "echo", "params": {"name": text + "xx"}}
    assert server.client.post("/jobs", json=more).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"type": "ok", "priority": 2**70},
        {"type": "ok", "priority": -(2**70)},
        {"type": "ok", "priority": 1e300},
        {"type": "ok", "timeout_s": 2**70},
        {"type": "ok", "timeout_s": 1e308},
        {"type": "o" * 100_000},
        {"type": "o\0k"},
        {"type": "ok", "labels": {f"k{n}": "" for n in range(33)}},
        {"type": "ok", "labels": {"": "x"}},
        {"type": "ok", "labels": {"a=b": "x"}},
        {"type": "ok", "labels": {"a": "x" * 101}},
        {"type": "ok", "labels": {"a": "\0"}},
        {"type": "ok", "name": "\0"},
        {"type": "ok", "name": "\x1b[31m"},
        {"type": "ok", "\0": 1},
        "ok", 5, None, True, [], [{"type": "ok"}],
    ],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_other_nonsense_is_refused(server: Server, body: Any) -> None:
    before = server.last_seq()
    answer = server.client.post("/jobs", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert server.last_seq() == before


def test_a_refusal_is_not_larger_than_a_page(server: Server) -> None:
    answer = server.client.post("/jobs", json={"type": "ok", "x" * 100_000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 20_000


def test_1e400_is_no_number(server: Server) -> None:
    for body in (
        b'{"type": "echo", "params": {"ratio": 1e400}}',
        b'{"type": "ok", "priority": 1e400}',
        b'{"type": "ok", "timeout_s": 1e400}',
    ):
        assert server.client.post("/jobs", content=body, headers=JSON).status_code == 422
    answer = server.client.post("/scheduler/stop", content=b'{"wait_s": 1e400}', headers=JSON)
    assert answer.status_code == 422
    answer = server.client.post(
        "/scheduler/reservations", content=b'{"ttl_s": 1e400}', headers=JSON
    )
    assert answer.status_code == 422


TIMES = [
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59-00:01",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59.999999Z",
    "2016-12-31T23:59:60Z",
    "10000-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "2126-01-01T00:00:00.123456789Z",
    "2126-01-01",
    "2126-01-01 00:00:00Z",
    "1e30",
    "99999999999999999999",
    "",
]


@pytest.mark.parametrize("field", ["run_at", "expires_at"])
def test_the_edges_of_time_bring_nothing_down(server: Server, field: str) -> None:
    server.post("/scheduler/stop")
    path = f"/jobs/{server.submit('ok', run_at='2126-01-01T00:00:00Z')['job_id']}"
    for time in TIMES:
        answer = server.client.post("/jobs", json={"type": "ok", field: time})
        assert answer.status_code in (201, 422), (time, answer.text)
        if answer.status_code == 201:
            job_id = answer.json()["job_id"]
            assert server.job(job_id)[field][:4] == time[:4] or "-23:59" in time or "+" in time
            assert server.client.get("/jobs").status_code == 200
        if field == "run_at":
            assert server.client.patch(path, json={"run_at": time}).status_code in (200, 422)
    assert server.status()["scheduler_running"] is False


def test_microseconds_are_kept(server: Server) -> None:
    for time in ("2126-01-01T00:00:00.123457Z", "9000-01-01T00:00:00.000001Z"):
        assert server.submit("ok", run_at=time)["run_at"] == time


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


def test_what_is_repeated_within_the_limits_counts_once(server: Server) -> None:
    job_id = server.submit("ok", labels={"a": "b"}, run_at="2126-01-01T00:00:00Z")["job_id"]
    query = "&".join(["label=a=b&type=ok&status=QUEUED"] * 50)
    found = server.client.get(f"/jobs?{query}")
    assert [job["job_id"] for job in found.json()["jobs"]] == [job_id]


# ---- media types, sizes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/xml", "application/json-patch+json", "text/json", "", "json", "*/*", None],
)  # fmt: skip
def test_a_body_that_is_not_declared_as_json_is_refused(server: Server, media: str | None) -> None:
    before = server.last_seq()
    headers = {} if media is None else {"Content-Type": media}
    for path, body in (
        ("/jobs", b'{"type": "ok"}'),
        ("/jobs/batch", b'{"jobs": [{"type": "ok"}]}'),
        ("/direct/ok", b"{}"),
        ("/jobs/ok/trigger", b"{}"),
        ("/scheduler/stop", b"{}"),
        ("/scheduler/reservations", b'{"ttl_s": 60}'),
    ):
        answer = server.client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert server.last_seq() == before


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_media_type_is_read_as_it_is_meant(server: Server, media: str) -> None:
    headers = {"Content-Type": media}
    content = b'{"type": "ok", "name": "\xc3\xa9", "run_at": "2126-01-01T00:00:00Z"}'
    answer = server.client.post("/jobs", content=content, headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (201, "é")


def test_a_body_that_is_too_large_is_refused(server: Server) -> None:
    before = server.last_seq()
    head = "POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    declared = f"{head}Content-Length: 3000000\r\n\r\n".encode()
    status, body = server.speak(declared)
    assert (status, json.loads(body)["code"]) == (413, "too_large")
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with server.connect() as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(48):
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not listen any longer
        status, body = server.hear(connection)
    assert (status, json.loads(body)["code"]) == (413, "too_large")
    assert server.last_seq() == before


# ---- Host, Origin ------------------------------------------------------------------------------


def every_operation(server: Server) -> list[tuple[str, str]]:
    paths = server.get("/openapi.json")["paths"]
    return [
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, methods in paths.items()
        for method in methods
    ]


BAD_HOSTS = [
    "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "",
    "127.0.0.2", "0.0.0.0", "[::2]", "[::1", "127.0.0.1, evil.example", "evil.example\t",
    "xn--localhost", "127.1", "2130706433", "localhost.",
]  # fmt: skip
BAD_ORIGINS = [
    "http://evil.example", "null", "", "http://127.0.0.1:1", "https://{host}", "http://{host}.evil",
    "file://", "http://localhost", "{host}", "http://{host}/", "http://evil.example http://{host}",
]  # fmt: skip


def test_a_foreign_host_is_refused_on_every_method(server: Server) -> None:
    before = server.last_seq()
    operations = every_operation(server) + [(m, "/jobs") for m in ("PUT", "OPTIONS", "HEAD")]
    for method, path in operations:
        answer = server.client.request(method, path, headers={"Host": "evil.example"})
        assert answer.status_code == 421, (method, path)
    assert server.last_seq() == before


def test_a_foreign_origin_is_refused_on_every_method(server: Server) -> None:
    before = server.last_seq()
    for method, path in every_operation(server):
        answer = server.client.request(method, path, headers={"Origin": "http://evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (403, "bad_origin"), (method, path)
    assert server.last_seq() == before


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_every_foreign_host_is_refused(server: Server, host: str) -> None:
    body = b'{"type": "ok"}'
    request = f"POST /jobs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    status, body = server.speak(f"{request}Content-Length: 14\r\n\r\n".encode() + body)
    assert status in (421, 400), body


@pytest.mark.parametrize("hosts", ["", "Host: 127.0.0.1\r\nHost: evil.example\r\n"])
def test_a_request_needs_exactly_one_host(server: Server, hosts: str) -> None:
    status, _ = server.speak(f"GET /jobs HTTP/1.1\r\n{hosts}\r\n".encode())
    assert status in (421, 400)
    status, _ = server.speak(f"GET /jobs HTTP/1.0\r\n{hosts}\r\n".encode())
    assert status in (421, 400)


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_every_foreign_origin_is_refused(server: Server, origin: str) -> None:
    host = server.url.removeprefix("http://")
    headers = {"Origin": origin.replace("{host}", host)}
    answer = server.client.post("/jobs", json={"type": "ok"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_origin")


def test_its_own_names_and_its_own_pages_are_welcome(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", "localhost"):
        assert server.client.get("/health", headers={"Host": host}).status_code == 200
        headers = {"Host": host, "Origin": f"http://{host.lower()}"}
        assert server.client.get("/health", headers=headers).status_code == 200


def test_no_other_origin_is_ever_invited(server: Server) -> None:
    for method in ("GET", "OPTIONS"):
        headers = {"Access-Control-Request-Method": "POST"}
        answer = server.client.request(method, "/jobs", headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_upgrade_is_not_a_way_around_the_guard(server: Server) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for host in ("evil.example", "127.0.0.1"):
        request = f"GET /events HTTP/1.1\r\nHost: {host}\r\n{upgrade}{key}\r\n"
        status, _ = server.speak(request.encode())
        assert 400 <= status < 500, host


def test_h2c_is_not_enabled(server: Server) -> None:
    settings = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    request = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n{settings}\r\n"
    with server.connect() as connection:
        connection.sendall(request.encode())
        head = connection.recv(100)
    assert head.startswith(b"HTTP/1.1 200"), head
    with server.connect() as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\n")
        answer = connection.recv(100)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_a_target_that_names_another_server_is_refused(server: Server) -> None:
    """RFC 9112, 3.2.2: the authority of an absolute target counts, and not the Host header."""
    request = b"GET http://evil.example/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    assert server.speak(request)[0] in (400, 404, 421)


# ---- paths, queries, headers -------------------------------------------------------------------


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


# ---- HTTP itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /nowhere HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nbad header\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
        b"GET /j\xc3\xb6bs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: odd\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=lambda request: str(request[:40]),
)
def test_what_is_not_http_gets_a_4xx_or_a_closed_door(server: Server, request_: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while b"\r\n\r\n" not in answer and (data := connection.recv(65536)):
                answer += data
        except ConnectionResetError:
            pass
    assert not answer or answer.split()[1][:1] == b"4" or answer.split()[1] in (b"501", b"505")


def test_a_connection_goes_on_after_an_answer_that_came_before_the_body(server: Server) -> None:
    """HTTP clients send head and body in two pieces; a refusal may come in between."""
    head = b"PATCH /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with server.connect() as connection:
        connection.sendall(head + b"Content-Length: 2\r\n\r\n")
        assert server.hear(connection)[0] == 404
        try:
            connection.sendall(b"{}")
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            connection.settimeout(3)
            answer = connection.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            return  # closed: the client sees at once that it must ask again
    assert answer == b"" or answer.startswith(b"HTTP/1.1 200")


def test_a_body_where_none_is_wanted_does_not_stall_the_connection(server: Server) -> None:
    for _ in range(20):
        assert server.client.request("GET", "/health", json={"a": 1}).status_code == 200
        assert server.client.post("/scheduler/start", json={"a": 1}).status_code in (200, 422)


@pytest.mark.parametrize("path", ["/health", "/jobs", "/nowhere"])
def test_a_connection_is_closed_when_the_client_asks_for_it(server: Server, path: str) -> None:
    with server.connect() as connection:
        connection.settimeout(3)
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        assert b"".join(iter(lambda: connection.recv(65536), b"")).startswith(b"HTTP/1.1")


def test_a_client_of_http_1_0_gets_its_answer_and_its_end(server: Server) -> None:
    with server.connect() as connection:
        connection.settimeout(3)
        connection.sendall(b"GET /health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 " in answer.partition(b"\r\n")[0]


@pytest.mark.parametrize("how", ["half", "closed", "reset"])
def test_a_client_that_hangs_up_is_no_accident(server: Server, how: str) -> None:
    requests = [
        b"GET /jobs HTTP/1.1\r\n\r\n",  # refused before the app sees it
        b"GET /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{",
        b"nonsense\r\n\r\n",
    ]
    for request in requests * 20:
        with server.connect() as connection:
            connection.sendall(request)
            if how == "half":
                connection.shutdown(socket.SHUT_WR)
                with suppress(ConnectionResetError):
                    while connection.recv(65536):
                        pass
            elif how == "reset":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert server.get("/health")["status"] == "ok"
    assert server.is_sound()


def test_more_bytes_behind_a_last_request_are_no_accident(server: Server) -> None:
    last = b"GET /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    for request in (last, b"GET /jobs HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n") * 30:
        with server.connect() as connection, suppress(ConnectionResetError):
            connection.sendall(request + b"SM\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
    assert server.get("/health")["status"] == "ok"
    assert server.is_sound()


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with server.connect() as connection:
        one = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        two = b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        connection.sendall((one + two) * 3)
        received = b""
        while received.count(b"HTTP/1.1 ") < 6:
            data = connection.recv(65536)
            assert data
            received += data
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404"] * 3
