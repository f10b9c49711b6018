"""The guard over bare sockets: what other sites, proxies and browsers may not do here."""

import json
import re
import socket

import pytest

from tests.contract.server import Server

HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
BODY = b'{"type": "ok"}'
PROTECTED = (b"x-content-type-options: nosniff", b"cross-origin-resource-policy: same-origin")


def exchange(server: Server, request: bytes) -> bytes:
    """All that comes for these bytes, in lower case, until the server closes or is silent."""
    with server.connect() as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            pass
    return received.lower()


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"http/1.1 "), answer
    return int(answer.split()[1])


def test_two_ways_to_end_a_body_are_refused_and_nothing_after_them_is_read(server: Server) -> None:
    """RFC 9112, 6.1. A proxy before us that takes the other one would let a request through."""
    before = server.last_seq()
    hidden = POST + b"Content-Length: 14\r\n\r\n" + BODY
    chunked = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    for head in (
        b"Content-Length: 5\r\n" + chunked,
        b"Content-Length: 0\r\n" + chunked,
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"Content-Length: 5, 6\r\n\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    ):
        answer = exchange(server, POST + head + hidden)
        assert status_of(answer) in (400, 501), head
        assert len(re.findall(rb"http/1.1 \d\d\d ", answer)) == 1, head
        assert b"\r\nconnection: close\r\n" in answer
        assert b'"code":"malformed_request"' in answer
    old = POST.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert status_of(exchange(server, old)) == 400
    assert server.last_seq() == before


def test_one_length_that_is_said_twice_is_one_length(server: Server) -> None:
    head = POST + b"Content-Length: 14\r\nContent-Length: 14\r\n\r\n"
    assert status_of(exchange(server, head + BODY)) == 201


@pytest.mark.parametrize(
    "host",
    ["evil@127.0.0.1", "evil:x@localhost", "127.0.0.1.", "localhost.:80", "127.0.0.1:", "[::1]:x",
     "127.0.0.1:65536", "127.0.0.1:0", "127.0.0.1:-1", "127.0.0.1:80:80", "::1", "[::1]evil",
     "[::1%25lo]", "[127.0.0.1]", "%6cocalhost", "localhost/", "localhost#", "localhost?",
     "localhost\\", "127.0.0.1, 127.0.0.1", "\xef\xbc\x91127.0.0.1", ""],
)  # fmt: skip
def test_a_host_is_read_as_strictly_as_it_is_defined(server: Server, host: str) -> None:
    request = f"GET /jobs HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")
    assert status_of(exchange(server, request)) in (400, 421)
    if not re.search("[/?#]", host):
        target = f"GET http://{host}/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        assert status_of(exchange(server, target.encode("latin-1"))) in (400, 421)


def test_an_absolute_target_is_served_by_the_name_in_it(server: Server) -> None:
    """RFC 9112, 3.2.2: a server must accept it, and then ignores the Host header."""
    for target, host, status in (
        ("http://127.0.0.1/health", "127.0.0.1", 200),
        ("HTTP://localhost:80/jobs?limit=1", "127.0.0.1", 200),
        ("http://127.0.0.1", "127.0.0.1", 200),
        ("http://127.0.0.1/health", "evil.example", 200),
        ("http://evil.example/health", "127.0.0.1", 421),
        ("http://127.0.0.1@evil.example/health", "127.0.0.1", 421),
        ("http:///health", "127.0.0.1", 421),
        ("https://127.0.0.1/health", "127.0.0.1", 421),
        ("https://evil.example/health", "127.0.0.1", 421),
        ("ftp://127.0.0.1/health", "127.0.0.1", 421),
        ("127.0.0.1:80", "127.0.0.1", 404),
    ):
        request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        assert status_of(exchange(server, request.encode())) == status, target


@pytest.mark.parametrize("path", ["/events", "/health", "/nowhere", "/"])
def test_a_websocket_is_refused_after_the_same_look_at_its_host(server: Server, path: str) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for more, status in (
        ("Host: 127.0.0.1\r\n", 404),
        ("Host: evil.example\r\n", 421),
        ("Host: 127.0.0.1\r\nOrigin: http://evil.example\r\n", 403),
        ("Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ):
        answer = exchange(server, f"GET {path} HTTP/1.1\r\n{more}{upgrade}\r\n".encode())
        assert status_of(answer) == status
        assert b"application/problem+json" in answer
        assert all(line in answer for line in PROTECTED)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "deflate, gzip", "identity, gzip"])
def test_a_body_that_is_coded_is_refused_with_advice(server: Server, coding: str) -> None:
    before = server.last_seq()
    for path in ("/jobs", "/jobs/batch", "/direct/ok", "/jobs/ok/trigger", "/scheduler/start"):
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        answer = server.client.post(path, content=BODY, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert answer.headers["accept-encoding"] == "identity"
    assert server.last_seq() == before
    headers["Content-Encoding"] = "identity"
    assert server.client.post("/jobs", content=BODY, headers=headers).status_code == 201


ANSWERS = {
    "at once": b"GET /jobs HTTP/1.1\r\n" + HOST,
    "through Quart": b"GET /metrics HTTP/1.1\r\n" + HOST,
    "with a preference": b"GET /jobs HTTP/1.1\r\nPrefer: wait=1\r\n" + HOST,
    "not found": b"GET /nowhere HTTP/1.1\r\n" + HOST,
    "method not allowed": b"PUT /jobs HTTP/1.1\r\n" + HOST,
    "refused by the guard": b"GET /jobs HTTP/1.1\r\nHost: evil.example\r\n",
    "no Host": b"GET /jobs HTTP/1.1\r\n",
    "not HTTP": b"nonsense\r\n",
    "head too long": b"GET / HTTP/1.1\r\nX: " + b"x" * 80_000 + b"\r\n",
    "odd coding": POST + b"Transfer-Encoding: odd\r\n",
    "bad body": POST + b"Content-Length: 1\r\n",
    "too large": POST + b"Content-Length: 3000000\r\n",
    "the API to read": b"GET /docs HTTP/1.1\r\n" + HOST,
    "a stream": b"GET /events?after=999999 HTTP/1.1\r\n" + HOST,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_is_of_use_to_another_site_or_a_cache(server: Server, name: str) -> None:
    with server.connect() as connection:
        connection.sendall(ANSWERS[name] + b"\r\n" + (b"x" if name == "bad body" else b""))
        answer = b""
        while b"\r\n\r\n" not in answer and (data := connection.recv(65536)):
            answer += data.lower()
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    for line in (*PROTECTED, b"cache-control: no-store"):
        assert head.count(line) == 1, head


def test_a_log_is_no_script_of_a_foreign_page(server: Server) -> None:
    job = server.run("echo", {"name": "alert(1)"})["job_id"]
    answer = server.client.get(f"/jobs/{job}/log")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    for site in ("cross-site", "same-site", "same-origin, cross-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}
        answer = server.client.get(f"/jobs/{job}/log", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "bad_origin")


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "nonsense"])
def test_another_site_may_link_to_the_page_and_do_nothing_else(server: Server, site: str) -> None:
    foreign = {"Sec-Fetch-Site": site}
    for path in ("/", "/docs"):
        link = server.client.get(path, headers=foreign | NAVIGATION)
        assert link.status_code == 200
        for other in (
            {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
            {},
        ):
            assert server.client.get(path, headers=foreign | other).status_code == 403
        assert server.client.post(path, headers=foreign | NAVIGATION).status_code == 403
    before = server.last_seq()
    for path in ("/jobs", "/health", "/static/main.js", "/events", "/openapi.json", "/nowhere"):
        assert server.client.get(path, headers=foreign | NAVIGATION).status_code == 403
    answer = server.client.post("/jobs", json={"type": "ok"}, headers=foreign | NAVIGATION)
    assert json.loads(answer.content)["code"] == "bad_origin"
    assert server.last_seq() == before


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_itself_and_its_reader_are_welcome(server: Server, site: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    for path in ("/", "/static/main.js", "/jobs", "/health"):
        assert server.client.get(path, headers=headers).status_code == 200
