"""Streams that tests listen to, and Jobs that bring events."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors import messages as m
from headway.model.job import NewJob
from tests.web.resources.event_listener import LATER, Listener
from web.context import Context
from web.resources.events import EVERYTHING, Wanted, begin


@pytest.fixture
def listen(context: Context, nursery: trio.Nursery) -> Callable[..., Awaitable[Listener]]:
    async def listen(
        wanted: Wanted = EVERYTHING,
        *,
        last_id: int | None = None,
        after: int | None = None,
        pause_s: float = 0,
    ) -> Listener:
        listener = Listener(begin(context, wanted, last_id, after), pause_s)
        nursery.start_soon(listener.run)
        await wait_all_tasks_blocked()
        return listener

    return listen


@pytest.fixture
def queue(context: Context) -> Callable[..., Awaitable[list[str]]]:
    """Queue Jobs that are not due: one event each."""

    async def queue(n: int = 1) -> list[str]:
        new = tuple(NewJob(type="a", run_at=LATER) for _ in range(n))
        jobs = [job.job_id for job in (await context.ask(m.SubmitJobs(jobs=new))).jobs]
        await wait_all_tasks_blocked()
        return jobs

    return queue
