"""/direct/{type}: a blocking request that takes the next free slot ahead of the queue."""

from functools import partial
from typing import Annotated

import apsw
import trio

from actors import messages as m
from actors.rules.public import JobTypes, run_body
from headway.model.problem import Refusal
from headway.model.reservation import Reservation
from headway.model.run import DirectRequest, DirectRun
from storage.reservations import find_reservation
from storage.run_parts import run_and_result
from storage.runs import is_running
from web.api.request import Request
from web.api.response import Response
from web.api.routes import Body, Routes
from web.context import Context
from web.resources.acceptance import accept_params
from web.streams.log_view import LogView

TAIL_BYTES = 64 * 1024


def register(routes: Routes, context: Context) -> None:
    """Add the direct run."""

    @routes.add(
        "POST",
        "/direct/{type}",
        tag="direct",
        summary="Run now, ahead of the queue, and answer when it has ended",
        waits=True,
        refusals=(
            "unknown_type",
            "invalid",
            "queue_full",
            "rate_limited",
            "shutting_down",
            "unavailable",
            "storage_full",
        ),
        no_key="a direct run ends with its client, so no answer is kept: for a run that is started"
        " once, POST /jobs with Prefer: wait",
    )
    async def direct(
        request: Request, type: str, body: Annotated[DirectRequest, Body(optional=True)]
    ) -> Response[DirectRun]:
        request.take_stream()
        params = await accept_params(context, type, body.params)
        # Who goes away before the claim is known by name could not give it back.
        with trio.CancelScope(shield=True):
            reserved = await context.ask(m.StartDirect(type=type, params=params))
        over = False
        try:
            with context.events.subscribe(reserved.run_id) as news:
                while not (over := is_over(context, reserved)):
                    await news.wait()
        finally:
            if not over:
                # The client went away: Quart cancels this handler.
                with trio.CancelScope(shield=True):
                    await context.scheduler.tell(m.AbandonDirect(reserved=reserved))
        log_tail = await context.file_pool.run(lambda _: tail(context, reserved.run_id))
        read = partial(direct_body, reserved.run_id, log_tail, context.job_types)
        return Response(body=await context.walk(read))


def direct_body(run_id: str, log_tail: str, types: JobTypes, connection: apsw.Connection) -> bytes:
    """The run that has ended, as JSON."""
    found = run_and_result(connection, "run_id", run_id)
    assert found is not None, f"{run_id} was there"
    return run_body(*found, types, log_tail=log_tail)


def is_over(context: Context, reserved: m.DirectReservation) -> bool:
    """Whether the run has ended.

    Raises:
        Refusal: `shutting_down` or `unavailable`, when the claim ended and no run came of it.
    """
    claim: Reservation = find_reservation(context.reader, reserved.reservation_id)
    if claim.state != "ENDED":
        return False
    if claim.end_reason != "started":
        why = f"the direct run did not start: {claim.end_reason}"
        raise Refusal("shutting_down" if context.draining.is_set() else "unavailable", why)
    return not is_running(context.reader, reserved.run_id)


def tail(context: Context, run_id: str) -> str:
    """The last 64 KiB of the run's output."""
    try:
        view = LogView.open(context.runs_dir / run_id / "log")
        return view.read(max(0, view.size - TAIL_BYTES), TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""  # its program has put something else there
