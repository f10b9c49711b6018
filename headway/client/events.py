"""Events: every committed change, as a stream."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Unpack

from headway.client.blocking import BlockingOperations, iterating
from headway.client.event_stream import ServerEvent
from headway.client.operations import Operations
from headway.model.event import EventQuery


class EventOperations(Operations):
    """Asynchronous operations on the stream of events."""

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


class BlockingEventOperations(BlockingOperations):
    """The same, blocking."""

    events = iterating(EventOperations.events)
