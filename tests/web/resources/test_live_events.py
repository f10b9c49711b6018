"""Live progress and host conditions in event streams: shown at once, without a number."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from headway.model.scheduler import HostCondition
from tests.web.resources.event_listener import LATER, Listener, soon
from web.context import Context
from web.resources.events import Wanted, known_kinds


@pytest.fixture
def report(programs: Any) -> Callable[[float], Awaitable[None]]:
    """The program of the last Job reports how far it is."""

    async def report(fraction: float) -> None:
        path = Path(programs.processes[-1].launch.environment["HEADWAY_REPORT"])
        with path.open("a") as file:  # noqa: ASYNC230
            file.write(f'{{"progress": {fraction}}}\n')
        await trio.sleep(0.2)
        await wait_all_tasks_blocked()

    return report


def progress_of(listener: Listener) -> list[tuple[float, bool]]:
    """(fraction, whether it has a number)."""
    found = [event for event in listener.events if event["kind"] == "job.progress"]
    return [(event["data"]["fraction"], event["seq"] is not None) for event in found]


async def test_progress_comes_at_full_rate_and_few_of_it_has_a_number(
    listen: Any, submit: Any, report: Any, context: Context
) -> None:
    listener = await listen(Wanted(types=frozenset({"a"})))
    job = await submit()
    await trio.sleep(1)
    for n in range(1, 61):
        await report(n / 100)
    received = progress_of(listener)
    assert [fraction for fraction, _ in received] == sorted(fraction for fraction, _ in received)
    assert {fraction for fraction, _ in received} == {n / 100 for n in range(1, 61)}
    assert sum(numbered for _, numbered in received) == 3  # in 12 seconds
    live = [event for event in listener.events if event["seq"] is None]
    assert live[-1]["job_id"] == job.job_id
    assert live[-1]["data"] == {"type": "a", "fraction": 0.6, "message": None}
    numbered = [event["seq"] for event in listener.events if event["seq"] is not None]
    assert numbered == list(range(numbered[0], context.events.last_seq + 1))


async def test_what_is_live_moves_no_place(listen: Any, submit: Any, report: Any) -> None:
    listener = await listen()
    await submit()
    await trio.sleep(1)
    await report(0.1)
    await report(0.2)
    assert progress_of(listener)[-1] == (0.2, False)
    before = listener.last_id
    assert b"\nid:" not in listener.pieces[-1]
    resumed = await listen(last_id=before)
    assert progress_of(resumed) == [(0.2, False)], "a stream begins with what is live"
    assert resumed.last_id == before


async def test_no_progress_comes_after_the_end(
    listen: Any, submit: Any, report: Any, programs: Any
) -> None:
    listener = await listen()
    await submit()
    await trio.sleep(1)
    await report(0.1)
    await report(0.2)
    programs.processes[0].end()
    await soon()
    kinds = [event["kind"] for event in listener.events]
    assert kinds[-2:] == ["job.progress", "run.finished"]
    assert progress_of(listener) == [(0.1, False), (0.1, True), (0.2, False), (0.2, True)]
    later = await listen()
    await soon()
    assert later.events == []


@pytest.mark.parametrize(
    ("wanted", "n"),
    [
        (Wanted(kinds=("job.progress",)), 1),
        (Wanted(kinds=("job.",)), 1),
        (Wanted(kinds=("run.",)), 0),
        (Wanted(types=frozenset({"b"})), 0),
        (Wanted(job_id="job-other"), 0),
    ],
)
async def test_filters_go_for_what_is_live_too(
    listen: Any, submit: Any, report: Any, wanted: Wanted, n: int
) -> None:
    await submit()
    await trio.sleep(1)
    await report(0.1)
    listener = await listen(wanted)
    await report(0.2)
    assert progress_of(listener) == [(0.2, False)] * n


async def test_a_slow_reader_gets_the_newest(listen: Any, submit: Any, report: Any) -> None:
    slow = await listen(pause_s=3)
    await submit()
    await trio.sleep(1)
    for n in range(1, 21):
        await report(n / 100)
    await trio.sleep(20)
    received = [fraction for fraction, _ in progress_of(slow)]
    assert received == sorted(received)
    assert received[-1] == 0.2
    assert len(received) < 10


async def test_what_of_the_host_keeps_jobs_from_starting_is_live(
    listen: Any, context: Context, queue: Any
) -> None:
    everything, scheduler = await listen(), await listen(Wanted(kinds=("scheduler.",)))
    before = everything.last_id
    condition = HostCondition(reason="no more processes", since=LATER)
    for received in (condition, None):
        context.events.note_host(received, 0)
        await soon()
    for listener in (everything, scheduler):
        assert [event["kind"] for event in listener.events] == ["scheduler.host"] * 2
        assert [event["seq"] for event in listener.events] == [None, None]
        shown = [event["data"]["host_condition"] for event in listener.events]
        assert shown == [{"reason": "no more processes", "since": "2126-01-01T00:00:00Z"}, None]
    assert everything.last_id == before
    assert known_kinds(["scheduler.host"]) == ("scheduler.host",)
