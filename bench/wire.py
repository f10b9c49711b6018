"""A small HTTP/1.1 keep-alive client: one request at a time, bodies by Content-Length.

The benches use it because it costs next to nothing, and nothing in it depends on headway.
"""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 120.0
RECEIVE_BYTES = 1 << 18


class Unexpected(Exception):
    """The server's response is not what the bench needs."""


def address_of(url: str) -> tuple[str, int]:
    """(host, port) of a URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def request_bytes(
    method: str, path: str, host: str, body: bytes = b"", extra: dict[str, str] | None = None
) -> bytes:
    """One whole request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (extra or {}).items()]
    if body or method != "GET":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def parse_head(data: bytes) -> tuple[int, int, int] | None:
    """(status, where the body begins, its length), or None while the head is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise Unexpected(f"an answer without Content-Length: {head!r}")
    stop = head.find(b"\r\n", at + 2)
    length = int(head[at + 17 : stop if stop >= 0 else len(head)])
    return int(head[9:12]), end + 4, length


class Connection:
    """One keep-alive connection to a server on this machine. A context manager."""

    def __init__(self, url: str) -> None:
        self._address = address_of(url)
        self._host = f"{self._address[0]}:{self._address[1]}"
        self._socket = self._open()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _open(self) -> socket.socket:
        made = socket.create_connection(self._address, timeout=TIMEOUT_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def send(self, method: str, path: str, extra: dict[str, str] | None = None) -> None:
        """Send a request whose response is read elsewhere, or never."""
        self._socket.sendall(request_bytes(method, path, self._host, extra=extra))

    def receive(self) -> bytes:
        """Whatever has arrived."""
        return self._socket.recv(RECEIVE_BYTES)

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        status: int = 200,
        extra: dict[str, str] | None = None,
    ) -> bytes:
        """Send one request, and return the body of its response.

        Raises:
            Unexpected: the response has another status.
        """
        self._socket.sendall(request_bytes(method, path, self._host, body, extra))
        data = b""
        while (head := parse_head(data)) is None or len(data) < head[1] + head[2]:
            piece = self.receive()
            if not piece:
                raise Unexpected(f"{method} {path}: the server closed the connection")
            data += piece
        if b"\r\nconnection: close" in data[: head[1]].lower():
            # Hypercorn closes a connection after its thousandth request.
            self._socket.close()
            self._socket = self._open()
        if head[0] != status:
            raise Unexpected(f"{method} {path}: {head[0]} {data[head[1] :][:500]!r}")
        return data[head[1] :]

    def json(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        status: int = 200,
        extra: dict[str, str] | None = None,
    ) -> Any:
        """`exchange` in JSON."""
        sent = b"" if body is None else json.dumps(body).encode()
        return json.loads(self.exchange(method, path, sent, status=status, extra=extra))
