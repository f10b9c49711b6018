"""A server that is a function: it answers each request of a client with the next given response."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio.lowlevel
import httpx

from headway.client.client import AsyncClient, Client

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

    def async_client(self) -> AsyncClient:
        return AsyncClient(URL, transport=httpx.MockTransport(self), sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    @property
    def body(self) -> Any:
        return json.loads(self.last.content)


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
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

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            await anyio.lowlevel.checkpoint()
            yield piece


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
        "detail": "correct it",
        "code": code,
    }
    return httpx.Response(status, json=document | extra)


END = b'event: end\ndata: {"status": "COMPLETED"}\n\n'


REFUSED = httpx.ConnectError("[Errno 111] Connection refused")


RESET = httpx.ReadError("[Errno 104] Connection reset by peer")
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
