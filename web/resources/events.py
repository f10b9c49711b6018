"""/events: every committed event, in order, as server-sent events.

Invariant: a stream sends each event that it wants once, in order, none left out, from where it
begins to its end; where that cannot be, it says `reset` first. What it has passed over moves its
`id` as well, so that a resume never reads the same twice.

What is live, the newest progress of each Job that runs, comes between, without an `id`: only when
all events have been sent, so after its `run.started` and before its `run.finished`.
"""

from typing import Annotated, NamedTuple, get_args

import apsw
import trio
from pydantic import Field, StringConstraints

from headway.model.field import MAX_INT, Name
from headway.model.problem import Fault, Refusal
from storage.events import EventKind, events_after, last_seq
from web.api.response import Response
from web.api.routes import Header, Query, Routes
from web.context import Context
from web.streams.broadcaster import EncodedEvent, encode
from web.streams.sse import SSE, SSE_HEADERS, event_number, format_event

RESET_BEYOND_EVENTS = 100_000
"""A `Last-Event-ID` that is further back is too old: clients request the state again."""
SEND_POSITION_AFTER_EVENTS = 1_000
"""So many events may pass a stream by before it sends its position."""
EVENTS_PER_READ_MAX = 200
"""Each stream has a piece of its own from the table: the memory of a stream that is not read."""
RECONNECT_MS = 1_000

SUMMARY = (
    "Every committed event in order; `id` is its number, `Last-Event-ID` resumes. What is not"
    " committed comes without an `id` and with `seq` null: `job.progress` that is not stored yet,"
    " and `scheduler.host`, when the `host_condition` of `/scheduler/status` changes"
)
Seq = Annotated[int, Field(ge=0, le=MAX_INT)]
Kind = Annotated[
    str, StringConstraints(max_length=40), Field(examples=["run.", *get_args(EventKind)])
]


class Wanted(NamedTuple):
    """Which events a stream sends; an empty set means all. Kinds, or beginnings like `run.`."""

    job_id: str | None = None
    types: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()

    def covers(self, event: EncodedEvent) -> bool:
        """Whether the stream sends this event."""
        return (
            self.job_id in (None, event.job_id)
            and (not self.types or event.type in self.types)
            and (not self.kinds or any(is_of_kind(event.kind, kind) for kind in self.kinds))
        )


EVERYTHING = Wanted()


def is_of_kind(kind: str, wanted: str) -> bool:
    """Whether `kind` equals `wanted`, or begins with it if `wanted` ends in `.`."""
    return kind == wanted or (wanted.endswith(".") and kind.startswith(wanted))


def register(routes: Routes, context: Context) -> None:
    """Add the stream."""

    @routes.add(
        "GET",
        "/events",
        tag="events",
        summary=SUMMARY,
        media=(SSE,),
        refusals=("invalid", "rate_limited"),
    )
    async def events(
        job_id: Annotated[Name | None, Query("Only events about this Job.")] = None,
        type: Annotated[list[Name], Query("Only events about Jobs and runs of these types.")] = [],  # noqa: B006
        kind: Annotated[
            list[Kind], Query("Only these kinds; `run.` means all that begin so.")
        ] = [],  # noqa: B006
        after: Annotated[
            Seq | None,
            Query(
                "Begin behind this number, however far back; else: from now. A number that this"
                " database has never reached is answered by `event: reset`, whose data is"
                ' `{"seq": now}`, and the stream goes on from there.'
            ),
        ] = None,
        last_event_id: Annotated[
            str | None,
            Header(
                "Last-Event-ID",
                "Go on behind this number. Without `after`, one that is more than 100,000 events"
                " back is answered by `event: reset`, too.",
            ),
        ] = None,
    ) -> Response[None]:
        wanted = Wanted(job_id, frozenset(type), known_kinds(kind))
        stream = begin(context, wanted, event_number(last_event_id), after)
        return Response(pieces=stream, headers=dict(SSE_HEADERS))


def known_kinds(given: list[str]) -> tuple[str, ...]:
    """The same, each of which some event may have.

    Raises:
        Refusal: `invalid`, naming all kinds.
    """
    known = (*get_args(EventKind), "scheduler.host")
    wrong = [one for one in given if not any(is_of_kind(kind, one) for kind in known)]
    if wrong:
        faults = (Fault("/kind", f"there are: {', '.join(known)}; `run.` means all of run"),)
        raise Refusal("invalid", f"there is no kind of event called {wrong[0]!r}", faults)
    return tuple(given)


def begin(context: Context, wanted: Wanted, last_id: int | None, after: int | None) -> "Stream":
    """The stream of a request, from where it wants to begin, or from a reset."""
    newest = last_seq(context.reader)
    place = after if last_id is None else last_id
    if place is None:
        # What is committed and not yet in the buffer comes next.
        return Stream(context, wanted, context.events.last_seq)
    is_too_old = after is None and newest - place > RESET_BEYOND_EVENTS
    if place > newest or is_too_old:
        return Stream(context, wanted, newest, format_event("reset", {"seq": newest}, newest))
    return Stream(context, wanted, place)


class Stream:
    """The wanted events after `seq`, from memory if it reaches back so far, else from the table.

    An iterator and not a generator: Trio's cancel scopes may not be held across a yield.
    """

    def __init__(self, context: Context, wanted: Wanted, seq: int, first: bytes = b"") -> None:
        self._context = context
        self._broadcaster = context.broadcaster
        self._wanted = wanted
        self._seq = seq
        self._told = seq
        self._live = 0
        self._beats = self._broadcaster.beats
        # An id at once, so that a stream which is cut before its first event resumes here.
        self._greeting = b": welcome\nretry: %d\nid: %d\n\n" % (RECONNECT_MS, seq) + first
        self._is_over = False

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        if self._greeting:
            piece, self._greeting = self._greeting, b""
            return piece
        await trio.lowlevel.checkpoint()
        while not (piece := await self._next_or_end()):
            if self._broadcaster.is_over and self._seq >= self._broadcaster.released:
                self._is_over = True
                return self._place() + format_event("goodbye", {})
            if self._beats != self._broadcaster.beats:
                self._beats = self._broadcaster.beats
                return b": still here\n" + self._place()
            if self._seq >= self._broadcaster.released:
                await self._broadcaster.wait()
        self._beats = self._broadcaster.beats
        return piece

    async def _next_or_end(self) -> bytes:
        """The same; where the table cannot be read in time the client shall come again."""
        try:
            return await self._next()
        except Refusal:
            self._is_over = True
            return self._place() + format_event("goodbye", {})

    async def _next(self) -> bytes:
        """What the next events give; nothing if there are none, or none that are wanted."""
        if self._seq >= self._broadcaster.released:
            return self._next_live()
        events = self._broadcaster.after(self._seq)
        if events is None:
            events = await self._read()
        else:
            self._seq = events[-1].seq
        if self._wanted != EVERYTHING:
            events = [event for event in events if self._wanted.covers(event)]
        if events:
            self._told = events[-1].seq
            return self._broadcaster.join(events)
        return self._place() if self._seq - self._told >= SEND_POSITION_AFTER_EVENTS else b""

    def _next_live(self) -> bytes:
        """What is live and was not sent yet, in one piece."""
        found = self._broadcaster.live_after(self._live, self._seq)
        if not found:
            return b""
        self._live = found[-1].seq
        if self._wanted != EVERYTHING:
            found = [live for live in found if self._wanted.covers(live)]
        return self._broadcaster.join(found)

    async def _read(self) -> list[EncodedEvent]:
        """The same from the table; of one Job only, by its index."""
        seq, until, job_id = self._seq, self._broadcaster.released, self._wanted.job_id

        def read(connection: apsw.Connection) -> list[EncodedEvent]:
            found = events_after(connection, seq, limit=EVENTS_PER_READ_MAX, job_id=job_id)
            return [encode(event) for event in found]

        found = await self._context.walk(read)
        is_all = len(found) < EVENTS_PER_READ_MAX
        self._seq = until if is_all else min(until, found[-1].seq)
        return [event for event in found if event.seq <= self._seq]

    def _place(self) -> bytes:
        """How far it is, without an event."""
        self._told = self._seq
        return b"id: %d\n\n" % self._seq
