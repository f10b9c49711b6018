"""HTTP/1.1 itself: malformed requests, connections, pipelining, clients that hang up."""

import socket
import struct
from contextlib import suppress

import pytest

from tests.contract.server import Server


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
