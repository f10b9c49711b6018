"""Requests that are sent twice with the same key."""

from typing import Any

from tests.contract.server import Server

UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def twice(server: Server, path: str, body: Any = None, key: str = "") -> list[Any]:
    """The answers to the same request with the same key, sent twice."""
    headers = {"Idempotency-Key": key or f"twice {path}"}
    return [server.client.post(path, json=body, headers=headers) for _ in range(2)]
