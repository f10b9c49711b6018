"""/scheduler: start, stop, status, limits, reservations, measured times."""

from typing import Annotated, Literal

import apsw
import trio

from actors import messages as m
from headway.model.history import History
from headway.model.problem import Fault, Refusal
from headway.model.reservation import Reservation, ReservationList, ReservationRequest
from headway.model.scheduler import (
    ConfigPatch,
    Metrics,
    SchedulerConfig,
    SchedulerStatus,
    StopRequest,
)
from storage import reservations, scheduler
from storage.database import snapshot
from storage.rollup import read_history
from storage.runs import running
from web.api.request import Request
from web.api.response import Response
from web.api.routes import Body, Query, Routes
from web.context import Context
from web.resources.idempotency import REPLAYED, IdempotencyKey, create_once, request_key

SPANS = {"hour": (60, 60), "day": (900, 96), "week": (3600, 168)}
"""Seconds a step, and whole steps, of each chart."""


def register(routes: Routes, context: Context) -> None:
    """Add the operations on the scheduler."""
    register_history(routes, context)
    register_control(routes, context)
    register_config(routes, context)
    register_reservations(routes, context)


def status_now(context: Context) -> SchedulerStatus:
    """Read what the last commit says."""
    return status_from(context, context.reader)


def status_from(context: Context, connection: apsw.Connection) -> SchedulerStatus:
    """The same on a reader's own connection, and thread."""
    return scheduler.read_status(
        connection,
        types=context.job_types,
        concurrency=context.core.setup.concurrency,
        started_at=context.started_at,
        host_condition=context.events.host_condition,
    )


async def until_idle(context: Context, timeout_s: float) -> None:
    """Return when nothing runs, or the time is over, or the server drains."""
    with trio.move_on_after(timeout_s):
        async with context.unless_draining():
            seq = context.events.last_seq
            while running(context.reader):
                await context.events.beyond(seq)
                seq = context.events.last_seq


def register_control(routes: Routes, context: Context) -> None:
    """Start, stop, status, metrics."""

    @routes.add(
        "POST",
        "/scheduler/start",
        tag="scheduler",
        summary="Let Jobs start; idempotent",
        refusals=("storage_full",),
        repeatable=True,
    )
    async def start() -> SchedulerStatus:
        await context.ask(m.StartScheduler())
        return status_now(context)

    @routes.add(
        "POST",
        "/scheduler/stop",
        tag="scheduler",
        summary="Start no more Jobs; what runs goes on to its end; idempotent",
        refusals=("invalid", "rate_limited", "storage_full"),
        waits=True,
        repeatable=True,
    )
    async def stop(
        request: Request, body: Annotated[StopRequest, Body(optional=True)]
    ) -> SchedulerStatus:
        if body.wait_s:
            request.take_stream()
        await context.ask(m.StopScheduler())
        await until_idle(context, body.wait_s)
        return status_now(context)

    @routes.add("GET", "/scheduler/status", tag="scheduler", summary="The scheduler now")
    async def status() -> SchedulerStatus:
        return status_now(context)

    @routes.add(
        "GET",
        "/scheduler/metrics",
        tag="scheduler",
        summary="Wait and run time of each type at p50, p95, p99",
    )
    async def metrics() -> Metrics:
        return await context.stats.ask(m.GetMetrics())


def register_history(routes: Routes, context: Context) -> None:
    """The charts' data."""

    @routes.add(
        "GET",
        "/scheduler/history",
        tag="scheduler",
        summary="Queue length, outcomes, wait and run times over the last hour, day or week",
        refusals=("invalid",),
    )
    async def history(
        span: Annotated[
            Literal["hour", "day", "week"],
            Query("How far back: in steps of a minute, a quarter of an hour, an hour."),
        ] = "hour",
    ) -> History:
        step_s, steps = SPANS[span]
        now = context.clock.now()

        def read(connection: apsw.Connection) -> History:
            with snapshot(connection):
                return read_history(connection, now, step_s=step_s, steps=steps)

        return await context.walk(read)


def register_config(routes: Routes, context: Context) -> None:
    """Limits."""

    @routes.add("GET", "/scheduler/config", tag="scheduler", summary="The limits in force")
    async def get_config() -> SchedulerConfig:
        return context.core.setup.in_force(context.reader)

    @routes.add(
        "PATCH",
        "/scheduler/config",
        tag="scheduler",
        summary="Change limits while running; remembered across restarts",
        refusals=("invalid", "storage_full"),
    )
    async def patch_config(body: Annotated[ConfigPatch, Body()]) -> SchedulerConfig:
        unknown = [name for name in body.types if name not in context.job_types]
        if unknown:
            faults = tuple(Fault(f"/types/{name}", "there is no such type") for name in unknown)
            raise Refusal("invalid", "correct types", faults)
        return await context.ask(
            m.ConfigureScheduler(
                set_concurrency="concurrency" in body.model_fields_set,
                concurrency=body.concurrency,
                types=body.types,
            )
        )


def register_reservations(routes: Routes, context: Context) -> None:
    """Claims on the next slot."""

    @routes.add(
        "POST",
        "/scheduler/reservations",
        status=201,
        tag="scheduler",
        summary="Hold the next free slot, ahead of the queue, without running anything",
        refusals=("invalid", "idempotency_mismatch", "rate_limited", "storage_full"),
        headers={"Location": "the reservation", **REPLAYED},
    )
    async def reserve(
        request: Request,
        body: Annotated[ReservationRequest, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Reservation]:
        reservation = m.Reserve(ttl_s=body.ttl_s)
        if (key := await request_key(context, request, idempotency_key)) is not None:
            return await create_once(context, reservation, key)
        made = await context.ask(reservation)
        location = f"/scheduler/reservations/{made.reservation_id}"
        return Response(made, headers={"Location": location})

    @routes.add(
        "GET",
        "/scheduler/reservations",
        tag="scheduler",
        summary="Claims that wait or are held",
    )
    async def list_reservations() -> ReservationList:
        found = reservations.open_reservations(context.reader)
        return ReservationList.model_construct(reservations=found)

    @routes.add(
        "GET",
        "/scheduler/reservations/{reservation_id}",
        tag="scheduler",
        summary="One reservation",
        refusals=("not_found",),
    )
    async def get_reservation(reservation_id: str) -> Reservation:
        return reservations.find_reservation(context.reader, reservation_id)

    @routes.add(
        "DELETE",
        "/scheduler/reservations",
        tag="scheduler",
        summary="Release every reservation at once, and return them; direct runs keep theirs",
        refusals=("storage_full",),
    )
    async def release_all() -> ReservationList:
        released = await context.ask(m.ReleaseReservations())
        return ReservationList.model_construct(reservations=released)

    @routes.add(
        "DELETE",
        "/scheduler/reservations/{reservation_id}",
        tag="scheduler",
        summary="Give the slot back; idempotent",
        refusals=("not_found", "wrong_state", "storage_full"),
    )
    async def release(reservation_id: str) -> Reservation:
        return await context.ask(m.ReleaseReservation(reservation_id=reservation_id))
