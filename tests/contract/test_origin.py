"""Requests for another host or from a page of another site: refused on every operation."""

import pytest

from tests.contract.server import Server


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
