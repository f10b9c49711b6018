"""Clients that stall, drip and never read: everybody else is served as if they were not there."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests.contract.server import Server

HOSTILE = 100
POST = (
    b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 17\r\n\r\n"
)


def serves(server: Server) -> None:
    """Every kind of request is answered."""
    assert server.run("ok")["status"] == "COMPLETED"
    assert server.get("/jobs")["jobs"]
    assert server.client.get("/health").status_code == 200


def test_stalled_readers_hold_nobody_up(server: Server) -> None:
    job_id = server.run("bytes", {"count": 8_000_000})["job_id"]
    with ExitStack() as stack:
        for number in range(HOSTILE // 4):
            connection = stack.enter_context(server.connect())
            path = f"/jobs/{job_id}/log" if number % 2 else "/events?after=0"
            request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"
            connection.sendall(request.encode())
            assert connection.recv(1)  # and no more
        serves(server)


def test_idle_connections_hold_nobody_up(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(HOSTILE):
            connection = stack.enter_context(server.connect())
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert server.hear(connection)[0] == 200
        serves(server)


def test_slow_heads_and_stalled_bodies_hold_nobody_up(server: Server) -> None:
    with ExitStack() as stack:
        for number in range(HOSTILE):
            connection = stack.enter_context(server.connect())
            connection.sendall(POST[: 30 + number % 40] if number % 2 else POST + b'{"type"')
        serves(server)


def test_a_dripped_request_is_served_when_it_is_whole(server: Server) -> None:
    before = server.status()["queue_length"]
    with server.connect() as connection:
        for byte in POST + b'{"type":   "ok" }':
            connection.sendall(bytes([byte]))
        status, body = server.hear(connection)
    assert status == 201
    assert b'"job_id"' in body
    assert before == 0


def test_open_streams_do_not_outlive_the_server(launch: Callable[..., Any]) -> None:
    server = launch()
    held = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    with ExitStack() as stack:
        streams = [stack.enter_context(server.connect()) for _ in range(40)]
        for number, connection in enumerate(streams):
            path = f"/jobs/{held}/log" if number % 2 else "/events"
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(1)
        server.stop()
        for connection in streams:
            rest = b""
            while piece := connection.recv(65_536):
                rest += piece
            assert b"event: goodbye" in rest
