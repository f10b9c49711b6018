"""/scheduler: start, stop, status, limits, reservations, measured times."""

from typing import Annotated, Literal

import apsw
import trio
from pydantic import BaseModel, ConfigDict, Field

from actors import messages as m
from headway.model.field import Slots
from headway.model.history import History
from headway.model.problem import Fault, Refusal
from headway.model.reservation import Reservation
from headway.model.scheduler import SchedulerConfig, SchedulerStatus
from storage import reservations, scheduler
from storage.database import snapshot
from storage.rollup import read_history
from storage.runs import running
from web.api.request import Call
from web.api.routes import Answer, Api, Body, Query
from web.context import Services
from web.resources.idempotency import REPLAYED, IdempotencyKey, create_once, request_key


class StopRequest(BaseModel):
    """How long the answer may wait for what runs to end."""

    model_config = ConfigDict(extra="forbid")
    wait_s: Annotated[float, Field(ge=0, le=300, strict=True, allow_inf_nan=False)] = 0.0


class ConfigPatch(BaseModel):
    """Limits to change; null goes back to the configuration's. What is left out stays."""

    model_config = ConfigDict(extra="forbid")
    concurrency: Slots | None = None
    types: dict[str, Slots | None] = {}


class ReservationRequest(BaseModel):
    """How long the slot is held, counted from when it is free; the operator sets the most."""

    model_config = ConfigDict(extra="forbid")
    ttl_s: Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]


class ReservationList(BaseModel):
    """Claims that wait or are held, in their order."""

    reservations: list[Reservation]


class TypeTimes(BaseModel):
    """Seconds at p50, p95 and p99 over the type's last runs (at most 1,000)."""

    type: str
    runs: int
    by_status: dict[str, int]
    wait_s: dict[str, float]
    run_s: dict[str, float]
    runs_per_minute: float


class Metrics(BaseModel):
    """How long things take, per type."""

    types: list[TypeTimes]


SPANS = {"hour": (60, 60), "day": (900, 96), "week": (3600, 168)}
"""Seconds a step, and whole steps, of each chart."""


def register(api: Api, services: Services) -> None:
    """Add the operations on the scheduler."""
    register_history(api, services)
    register_control(api, services)
    register_config(api, services)
    register_reservations(api, services)


def status_now(services: Services) -> SchedulerStatus:
    """Read what the last commit says."""
    return status_from(services, services.reader)


def status_from(services: Services, connection: apsw.Connection) -> SchedulerStatus:
    """The same on a reader's own connection, and thread."""
    return scheduler.read_status(
        connection,
        types=services.job_types,
        concurrency=services.core.setup.concurrency,
        started_at=services.started_at,
        host_condition=services.feed.host_condition,
    )


async def until_idle(services: Services, timeout_s: float) -> None:
    """Return when nothing runs, or the time is over, or the server drains."""
    with trio.move_on_after(timeout_s):
        async with services.unless_draining():
            seq = services.feed.last_seq
            while running(services.reader):
                await services.feed.beyond(seq)
                seq = services.feed.last_seq


def register_control(api: Api, services: Services) -> None:
    """Start, stop, status, metrics."""

    @api.route(
        "POST",
        "/scheduler/start",
        tag="scheduler",
        summary="Let Jobs start; idempotent",
        refusals=("storage_full",),
        repeatable=True,
    )
    async def start() -> SchedulerStatus:
        await services.ask(m.StartScheduler())
        return status_now(services)

    @api.route(
        "POST",
        "/scheduler/stop",
        tag="scheduler",
        summary="Start no more Jobs; what runs goes on to its end; idempotent",
        refusals=("invalid", "rate_limited", "storage_full"),
        waits=True,
        repeatable=True,
    )
    async def stop(
        call: Call, body: Annotated[StopRequest, Body(optional=True)]
    ) -> SchedulerStatus:
        if body.wait_s:
            call.take_stream()
        await services.ask(m.StopScheduler())
        await until_idle(services, body.wait_s)
        return status_now(services)

    @api.route("GET", "/scheduler/status", tag="scheduler", summary="The scheduler now")
    async def status() -> SchedulerStatus:
        return status_now(services)

    @api.route(
        "GET",
        "/scheduler/metrics",
        tag="scheduler",
        summary="Wait and run time of each type at p50, p95, p99",
    )
    async def metrics() -> Metrics:
        measured = await services.stats.ask(m.GetMetrics())
        return Metrics(
            types=[
                TypeTimes(
                    type=entry.type,
                    runs=entry.runs,
                    by_status=dict(entry.by_status),
                    wait_s=dict(entry.wait_s),
                    run_s=dict(entry.run_s),
                    runs_per_minute=entry.runs_per_minute,
                )
                for entry in measured
            ]
        )


def register_history(api: Api, services: Services) -> None:
    """The charts' data."""

    @api.route(
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
        now = services.clock.now()

        def read(connection: apsw.Connection) -> History:
            with snapshot(connection):
                return read_history(connection, now, step_s=step_s, steps=steps)

        return await services.walk(read)


def register_config(api: Api, services: Services) -> None:
    """Limits."""

    @api.route("GET", "/scheduler/config", tag="scheduler", summary="The limits in force")
    async def get_config() -> SchedulerConfig:
        return services.core.setup.in_force(services.reader)

    @api.route(
        "PATCH",
        "/scheduler/config",
        tag="scheduler",
        summary="Change limits while running; remembered across restarts",
        refusals=("invalid", "storage_full"),
    )
    async def patch_config(body: Annotated[ConfigPatch, Body()]) -> SchedulerConfig:
        unknown = [name for name in body.types if name not in services.job_types]
        if unknown:
            faults = tuple(Fault(f"/types/{name}", "there is no such type") for name in unknown)
            raise Refusal("invalid", "correct types", faults)
        return await services.ask(
            m.ConfigureScheduler(
                set_concurrency="concurrency" in body.model_fields_set,
                concurrency=body.concurrency,
                types=body.types,
            )
        )


def register_reservations(api: Api, services: Services) -> None:
    """Claims on the next slot."""

    @api.route(
        "POST",
        "/scheduler/reservations",
        status=201,
        tag="scheduler",
        summary="Hold the next free slot, ahead of the queue, without running anything",
        refusals=("invalid", "idempotency_mismatch", "rate_limited", "storage_full"),
        headers={"Location": "the reservation", **REPLAYED},
    )
    async def reserve(
        call: Call,
        body: Annotated[ReservationRequest, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Answer[Reservation]:
        reservation = m.Reserve(ttl_s=body.ttl_s)
        if (key := await request_key(services, call, idempotency_key)) is not None:
            return await create_once(services, reservation, key)
        made = await services.ask(reservation)
        location = f"/scheduler/reservations/{made.reservation_id}"
        return Answer(made, headers={"Location": location})

    @api.route(
        "GET",
        "/scheduler/reservations",
        tag="scheduler",
        summary="Claims that wait or are held",
    )
    async def list_reservations() -> ReservationList:
        found = reservations.open_reservations(services.reader)
        return ReservationList.model_construct(reservations=found)

    @api.route(
        "GET",
        "/scheduler/reservations/{reservation_id}",
        tag="scheduler",
        summary="One reservation",
        refusals=("not_found",),
    )
    async def get_reservation(reservation_id: str) -> Reservation:
        return reservations.find_reservation(services.reader, reservation_id)

    @api.route(
        "DELETE",
        "/scheduler/reservations",
        tag="scheduler",
        summary="Release every reservation at once, and return them; direct runs keep theirs",
        refusals=("storage_full",),
    )
    async def release_all() -> ReservationList:
        released = await services.ask(m.ReleaseReservations())
        return ReservationList.model_construct(reservations=released)

    @api.route(
        "DELETE",
        "/scheduler/reservations/{reservation_id}",
        tag="scheduler",
        summary="Give the slot back; idempotent",
        refusals=("not_found", "wrong_state", "storage_full"),
    )
    async def release(reservation_id: str) -> Reservation:
        return await services.ask(m.ReleaseReservation(reservation_id=reservation_id))
