"""Whether the server says by itself that it cannot work."""

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from actors.actor import Mailbox
from headway.model.problem import Refusal
from web.context import Context
from web.resources.system import PROBE_S, probe


async def test_a_scheduler_that_works_is_ready(context: Context) -> None:
    await probe(context)


async def test_a_scheduler_that_has_stopped_is_not(context: Context) -> None:
    stopped = Mailbox("scheduler", 1)
    stopped.close()
    with pytest.raises(Refusal, match="degraded: the scheduler is not running") as caught:
        await probe(replace(context, scheduler=stopped))
    assert caught.value.code == "unavailable"


async def test_a_scheduler_that_does_not_answer_is_not_waited_for_long(
    context: Context, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    with pytest.raises(Refusal, match="has not answered") as caught:
        await probe(replace(context, scheduler=Mailbox("scheduler", 1)))
    assert caught.value.code == "unavailable"
    assert trio.current_time() - began == pytest.approx(PROBE_S)
