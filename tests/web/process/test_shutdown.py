"""The orderly shutdown, with the real actors on virtual time."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import messages as m
from headway.model.job import Job
from headway.model.problem import Refusal
from storage.jobs import find_job
from storage.runs import running
from tests.web.conftest import WaitingHost
from web.context import Context
from web.process.shutdown import ask_until_committed, end_signals, shut_down

Submit = Callable[..., Awaitable[Job]]


class RecordingServer:
    """Notes when it is to drain and to finish."""

    def __init__(self) -> None:
        self.drained_at: float | None = None
        self.finished_at: float | None = None

    def drain(self) -> None:
        self.drained_at = trio.current_time()

    def finish(self) -> None:
        self.finished_at = trio.current_time()


class SentSignals:
    """SentSignals that a test sends."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[int](10)

    def send(self) -> None:
        self._send.send_nowait(signal.SIGTERM)

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        return await self._receive.receive()


@pytest.fixture
def server_settings() -> dict[str, Any]:
    return {"shutdown_grace_s": 30}


@pytest.fixture
def server() -> Any:
    return RecordingServer()


@pytest.fixture
def signals() -> SentSignals:
    return SentSignals()


async def test_without_programs_it_ends_at_once(
    context: Context, server: Any, signals: SentSignals
) -> None:
    began = trio.current_time()
    await shut_down(context, server, signals, detach=False)
    assert context.draining.is_set()
    assert server.drained_at == server.finished_at == pytest.approx(began, abs=1)


async def test_a_program_may_end_within_the_grace(
    context: Context, programs: WaitingHost, submit: Submit, server: Any, signals: SentSignals
) -> None:
    job = await submit()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: shut_down(context, server, signals, detach=False))
        await trio.sleep(20)
        assert server.finished_at is None
        programs.processes[0].end()
    assert find_job(context.reader, job.job_id).status == "COMPLETED"
    assert server.finished_at - server.drained_at == pytest.approx(20, abs=1)


async def test_a_program_that_exceeds_the_grace_is_ended(
    context: Context, submit: Submit, server: Any, signals: SentSignals
) -> None:
    job = await submit()
    await shut_down(context, server, signals, detach=False)
    assert find_job(context.reader, job.job_id).status == "FAILED"
    assert server.finished_at - server.drained_at == pytest.approx(30, abs=1)


async def test_another_signal_ends_the_grace(
    context: Context, submit: Submit, server: Any, signals: SentSignals
) -> None:
    await submit()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: shut_down(context, server, signals, detach=False))
        await trio.sleep(5)
        signals.send()
    assert server.finished_at - server.drained_at == pytest.approx(5, abs=1)
    assert not running(context.reader)


async def test_with_detach_a_program_goes_on(
    context: Context, submit: Submit, server: Any, signals: SentSignals
) -> None:
    job = await submit()
    await shut_down(context, server, signals, detach=True)
    assert server.finished_at == pytest.approx(server.drained_at, abs=1)
    assert find_job(context.reader, job.job_id).status == "RUNNING"


class RefusingMailbox:
    """A scheduler that refuses, before it commits or for ever."""

    def __init__(self, *codes: Any) -> None:
        self.codes = list(codes)

    async def ask(self, message: Any) -> None:
        if self.codes:
            raise Refusal(self.codes.pop(0), "not now")


async def test_a_message_is_sent_until_it_is_committed(
    context: Context, autojump_clock: MockClock
) -> None:
    scheduler: Any = RefusingMailbox("unavailable", "unavailable")
    assert await ask_until_committed(replace(context, scheduler=scheduler), m.Drain())
    assert scheduler.codes == []


async def test_a_full_disk_leaves_the_programs(context: Context) -> None:
    scheduler: Any = RefusingMailbox("unavailable", "storage_full", "unavailable")
    assert not await ask_until_committed(replace(context, scheduler=scheduler), m.Drain())
    assert scheduler.codes == ["unavailable"]


async def test_a_signal_after_the_block_changes_nothing() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with end_signals() as received:
            signal.raise_signal(signal.SIGINT)
            assert await anext(received) == signal.SIGINT
            signal.raise_signal(signal.SIGTERM)
        await wait_all_tasks_blocked()
        for number in before:
            signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
