"""The server itself: its health, and the stream of its events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Unpack

from headway.client.blocking import BlockingOperations, blocking, iterating
from headway.client.event_stream import ServerEvent
from headway.client.operations import Operations
from headway.model.event import EventQuery
from headway.model.health import Health, Ready


class SystemOperations(Operations):
    """Asynchronous operations on the server itself."""

    async def health(self) -> Health:
        """Whether the server process answers, and its version."""
        return await self._session.ask(Health, "GET", "/health")

    async def ready(self) -> Ready:
        """Whether the server accepts work; ApiError (503) with the reason while it does not."""
        return await self._session.ask(Ready, "GET", "/ready")

    async def events(
        self, job_id: str | None = None, *, after: int | None = None, **only: Unpack[EventQuery]
    ) -> AsyncGenerator[ServerEvent, None]:
        """Every committed event that matches, without end; close the iterator to stop.

        Without `after` from now. An event `reset` means that events are missing: request the state
        again. A stream that is cut resumes after the last event.
        """
        query = {"job_id": job_id, "after": after, **only}
        async with aclosing(self._session.stream("/events", query)) as events:
            async for event in events:
                yield event


class BlockingSystemOperations(BlockingOperations):
    """The same, blocking."""

    health = blocking(SystemOperations.health)
    ready = blocking(SystemOperations.ready)
    events = iterating(SystemOperations.events)
