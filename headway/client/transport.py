"""The two ways to send a request with httpx: asynchronously, and blocking.

The rest of the client is written once, as coroutines over a `Transport`. The coroutines of
`BlockingTransport` never suspend, so `headway.client.blocking` can run them without an event loop.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

import httpx


class Transport(Protocol):
    """Sends requests, reads responses and sleeps."""

    def request(self, method: str, path: str, **options: Any) -> httpx.Request:
        """A request to the server; `options` are those of `httpx.Client.build_request`."""

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """The response; with `stream` only its head has been read."""

    async def read(self, response: httpx.Response) -> None:
        """Read the body of a response."""

    def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The body in chunks, as they arrive. Ends with the response closed."""

    async def release(self, response: httpx.Response) -> None:
        """Close a response; closing it twice is allowed."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def close(self) -> None:
        """Close all connections."""


class AsyncTransport:
    """Suspends the task that sends, on trio or asyncio."""

    def __init__(
        self, http: httpx.AsyncClient, sleep: Callable[[float], Awaitable[None]] | None = None
    ) -> None:
        self._http = http
        self._sleep = sleep

    def request(self, method: str, path: str, **options: Any) -> httpx.Request:
        return self._http.build_request(method, path, **options)

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        return await self._http.send(request, stream=stream)

    async def read(self, response: httpx.Response) -> None:
        await response.aread()

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        chunks = response.aiter_bytes()
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            await response.aclose()
            # trio warns of every asynchronous generator that is dropped before its end, and httpx
            # nests several: on the closed connection they end at once.
            with suppress(httpx.HTTPError, httpx.StreamError):
                async for _ in chunks:
                    pass

    async def release(self, response: httpx.Response) -> None:
        await response.aclose()

    async def sleep(self, seconds: float) -> None:
        if self._sleep is None:
            import anyio  # here, since the blocking client does without

            self._sleep = anyio.sleep
        await self._sleep(seconds)

    async def close(self) -> None:
        await self._http.aclose()


class BlockingTransport:
    """Blocks the thread that sends: its coroutines never suspend."""

    def __init__(self, http: httpx.Client, sleep: Callable[[float], None]) -> None:
        self._http = http
        self._sleep = sleep

    def request(self, method: str, path: str, **options: Any) -> httpx.Request:
        return self._http.build_request(method, path, **options)

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        return self._http.send(request, stream=stream)

    async def read(self, response: httpx.Response) -> None:
        response.read()

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        try:
            for chunk in response.iter_bytes():
                yield chunk
        finally:
            response.close()

    async def release(self, response: httpx.Response) -> None:
        response.close()

    async def sleep(self, seconds: float) -> None:
        self._sleep(seconds)

    async def close(self) -> None:
        self._http.close()
