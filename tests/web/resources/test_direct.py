"""A direct run's claim ends with its client, at whatever moment that goes away."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from headway.model.job import Job
from headway.model.run import DirectRequest
from storage.reservations import open_reservations
from web.api.request import Request
from web.api.routes import Routes
from web.context import Context
from web.resources import direct

MOMENTS = 25
"""More checkpoints than there are between the request and the wait for a slot."""


@pytest.mark.parametrize("slot", ["taken", "free"])
async def test_a_client_that_goes_away_leaves_no_claim(
    context: Context, submit: Callable[..., Awaitable[Job]], programs: Any, slot: str
) -> None:
    routes = Routes()
    direct.register(routes, context)
    (route,) = routes
    request = Request({"method": "POST", "path": "/direct/a", "headers": [], "query_string": b""})
    if slot == "taken":
        await submit()
    for moment in range(MOMENTS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(route.handler, request, "a", DirectRequest())
            for _ in range(moment):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert open_reservations(context.reader) == []
        running = context.reader.execute(
            "SELECT count(*) FROM job_runs WHERE status = 'RUNNING' AND lane = 'direct'"
        )
        assert running.get == 0
    assert len(programs.processes) >= 1
