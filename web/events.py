"""/events: every committed fact, in order, as server-sent events."""

from typing import Annotated

import trio
from pydantic import Field
from pydantic_core import from_json
from quart import Response

from storage.events import facts_after
from storage.job import MAX_INT, from_us
from storage.transaction import Fact
from web.api import Api, Header, Query
from web.services import Services
from web.sse import HEARTBEAT_S, SSE, SSE_HEADERS, event, event_number

FACTS_PER_READ_MAX = 1_000


def register(api: Api, services: Services) -> None:
    """Add the stream."""

    @api.route(
        "GET",
        "/events",
        tag="events",
        summary="Every committed fact in order; `id` is its number, `Last-Event-ID` resumes",
        media=(SSE,),
        refusals=("invalid",),
    )
    async def events(
        job_id: Annotated[str | None, Query("Only facts about this Job.")] = None,
        after: Annotated[
            Annotated[int, Field(ge=0, le=MAX_INT)] | None,
            Query("Begin behind this number; else: from now."),
        ] = None,
        last_event_id: Annotated[
            str | None, Header("Last-Event-ID", "Go on behind this number.")
        ] = None,
    ) -> Response:
        begin = event_number(last_event_id)
        if begin is None:
            begin = services.feed.last_seq if after is None else after
        stream = Stream(services, min(begin, services.feed.last_seq), job_id)
        response = Response(stream, headers=SSE_HEADERS)
        response.timeout = None
        return response


class Stream:
    """Facts after `seq`, from the ring while it reaches back so far, else from the table."""

    def __init__(self, services: Services, seq: int, job_id: str | None) -> None:
        self._services = services
        self._seq = seq
        self._job_id = job_id
        self._over = False
        self._greeted = False

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        if not self._greeted:
            self._greeted = True
            return b": welcome\n\n"
        await trio.lowlevel.checkpoint()
        facts: list[Fact] | None = []
        with trio.move_on_after(HEARTBEAT_S) as scope:
            async with self._services.unless_draining():
                facts = await self._services.feed.beyond(self._seq)
        if scope.cancelled_caught:
            return b": still here\n\n"
        if facts is None:
            facts = facts_after(self._services.reader, self._seq, limit=FACTS_PER_READ_MAX)
        if not facts:
            self._over = True
            return event("goodbye", {})
        self._seq = facts[-1].seq
        return b"".join(fact_event(fact) for fact in facts if self._job_id in (None, fact.job_id))


def fact_event(fact: Fact) -> bytes:
    """One fact on the wire."""
    data = {
        "seq": fact.seq,
        "at": from_us(fact.at),
        "kind": fact.kind,
        "job_id": fact.job_id,
        "run_id": fact.run_id,
        "data": from_json(fact.data),
    }
    return event(fact.kind, data, fact.seq)
