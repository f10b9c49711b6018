"""Artifacts through the client."""

import httpx

from tests.headway.client.scripted import (
    Pieces,
    Server,
)


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
