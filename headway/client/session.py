"""What a request to headway is: its timeouts, when it is repeated, what its response means.

Invariant: a request that may have been received is sent again only where it is marked `repeatable`;
one whose connection was refused was never received, and is always tried again. Every failure is an
`ApiError` (the server rejected the request) or a `ServerUnreachable` (no headway server answered).
Which requests there are is in the modules of the nouns, such as `jobs.py`.

Responses are read tolerantly: a field that a newer server adds is ignored.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from headway.client.error import ServerUnreachable, error_of, reason_of
from headway.client.event_stream import EventDecoder, ServerEvent
from headway.client.transport import Transport

CONNECT_TIMEOUT_S = 5.0
RESPONSE_TIMEOUT_S = 30.0
"""Beyond the time that a request itself asks the server to wait."""
SILENCE_TIMEOUT_S = 60.0
"""An event stream without a heartbeat for this long is considered dead and is opened again."""
RETRY_DELAYS_S = (0.05, 0.2, 0.5)
RECONNECT_DELAYS_S = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""For a stream that has been open before: long enough for a server to restart."""

R = TypeVar("R", bound=BaseModel)


class Session:
    """Requests to the server at `url` over one transport."""

    def __init__(self, url: str, transport: Transport) -> None:
        self.url = url
        self.transport = transport

    async def ask(
        self,
        response_class: type[R],
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float | None = 0,
        repeatable: bool = False,
    ) -> R:
        """Send one request, parse its response. `wait_s`: how long the server may wait on purpose.

        Without a limit where that is None.
        """
        kind = {} if body is None else {"Content-Type": "application/json"}
        request = self._request(
            method,
            path,
            query=query,
            content=None if body is None else _json(body),
            headers={"Accept": "application/json", **kind, **(headers or {})},
            read_timeout_s=None if wait_s is None else RESPONSE_TIMEOUT_S + wait_s,
        )
        response = await self._send(request, repeatable=repeatable or method == "GET")
        try:
            return response_class.model_validate_json(response.content, extra="ignore")
        except ValidationError:
            reason = f"another program, or another version of it, answered {method} {path}"
            raise ServerUnreachable(self.url, reason) from None

    async def open(
        self, path: str, headers: Mapping[str, str], query: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """The response to a GET, of which only the head has been read; pass it to `chunks`."""
        request = self._request("GET", path, headers=headers, query=query)
        return await self._send(request, repeatable=True, stream=True)

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The body of such a response as it arrives; the response is closed at the end."""
        async with aclosing(self.transport.chunks(response)) as chunks:
            try:
                async for chunk in chunks:
                    yield chunk
            except httpx.TransportError as error:
                raise ServerUnreachable(self.url, reason_of(error)) from error

    async def download(self, path: str, headers: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The body of a GET in chunks, as they arrive."""
        async with aclosing(self.chunks(await self.open(path, headers))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def stream(
        self, path: str, query: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[ServerEvent, None]:
        """The events of an endless stream; when it is cut it resumes after the last id."""
        last_id: str | None = None
        opened, fruitless = False, 0
        while True:
            headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
            if last_id is not None:
                headers["Last-Event-ID"] = last_id
            request = self._request(
                "GET", path, query=query, headers=headers, read_timeout_s=SILENCE_TIMEOUT_S
            )
            response = await self._send(request, repeatable=True, stream=True, restarting=opened)
            opened = True
            reason, count = "it keeps closing the stream", 0
            async with aclosing(self._events(response)) as events:
                try:
                    async for event in events:
                        # A comment and an id are a greeting, and no proof that the stream lasts.
                        if event.name not in ("open", "comment") or count > (event.id is not None):
                            fruitless = 0
                        count += event.name != "open"
                        last_id = event.id or last_id
                        yield event
                except httpx.TransportError as error:
                    reason = reason_of(error)
            if fruitless == len(RECONNECT_DELAYS_S):
                raise ServerUnreachable(self.url, reason)
            await self.transport.sleep(RECONNECT_DELAYS_S[fruitless])
            fruitless += 1

    async def _events(self, response: httpx.Response) -> AsyncGenerator[ServerEvent, None]:
        """The events of one connection; the response is closed at the end."""
        decoder = EventDecoder()
        try:
            yield ServerEvent(name="open")
            async with aclosing(self.transport.chunks(response)) as chunks:
                async for chunk in chunks:
                    for event in decoder.feed(chunk):
                        yield event
        finally:
            await self.transport.release(response)

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        read_timeout_s: float | None = RESPONSE_TIMEOUT_S,
    ) -> httpx.Request:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return self.transport.request(
            method,
            path,
            params=given or None,
            content=content,
            headers=headers,
            timeout=httpx.Timeout(
                RESPONSE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, read=read_timeout_s
            ),
        )

    async def _send(
        self,
        request: httpx.Request,
        *,
        repeatable: bool,
        stream: bool = False,
        restarting: bool = False,
    ) -> httpx.Response:
        """The successful response. `restarting`: the server was there, so allow it a restart."""
        delays_s = iter(RECONNECT_DELAYS_S if restarting else RETRY_DELAYS_S)
        while True:
            delay_s = next(delays_s, None)
            try:
                response = await self.transport.send(request, stream=stream)
                if response.is_success:
                    return response
                await self._read_all(response)
            except httpx.TransportError as error:
                never_left = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if delay_s is None or not (repeatable or never_left):
                    raise ServerUnreachable(self.url, reason_of(error)) from error
            else:
                if delay_s is None or not (restarting and response.status_code == 503):
                    raise error_of(response)
            await self.transport.sleep(delay_s)

    async def _read_all(self, response: httpx.Response) -> None:
        try:
            await self.transport.read(response)
        finally:
            await self.transport.release(response)


def new_key() -> str:
    """A fresh `Idempotency-Key`."""
    return str(uuid4())


def segment(name: str) -> str:
    """`name` as one segment of a path, whatever it contains; dots alone would climb the path."""
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def checked_url(url: str) -> str:
    """`url` without its last slash.

    Raises:
        ValueError: it is not an http or https address of a server.
    """
    wrong = f"{url!r} is not an address of a server; write it like http://127.0.0.1:8787"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise ValueError(wrong) from error
    if not usable or parts.query or parts.fragment:
        raise ValueError(wrong)
    return url.rstrip("/")


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(body), default=_plain, allow_nan=False).encode()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
