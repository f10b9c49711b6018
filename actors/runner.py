"""Runners for blocking calls: a dedicated thread, a shared pool, or the calling task itself.

`ThreadRunner` keeps the event loop free while a commit is on its way to the disk; `InlineRunner`
keeps a simulation free of real threads. Both do one call at a time, in order.

A `Pool` is for calls that may take long and may be given up, such as reading what a program left:
several run at once, and each stops soon after its caller was cancelled.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import outcome
import trio

T = TypeVar("T")
Stop = Callable[[], None]

JOIN_S = 1.0
"""How long the end of a pool waits for calls that were given up: a disk may never answer."""


def _unwrapped(done: outcome.Outcome[Any]) -> Any:
    """The value, or its error raised.

    No frame through which the error passes may keep it, here or where it was captured: that is a
    cycle, and all that the work has had in its hands would stay until it is found.
    """
    try:
        return done.unwrap()
    finally:
        del done


class Stopped(Exception):
    """The caller was cancelled and no longer waits."""


class StopFlag:
    """Shared with one call of a pool, which looks at it between its steps."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Raise `Stopped` when the caller was cancelled."""
        if self.asked:
            raise Stopped


class Pool(Protocol):
    """Runs long calls; one whose caller is cancelled is asked to stop, and is not waited for."""

    async def run(self, work: Callable[[StopFlag], T]) -> T: ...


class InlinePool:
    """Runs the call at once in the calling task."""

    async def run(self, work: Callable[[StopFlag], T]) -> T:
        """Call `work` after a checkpoint, which a real wait has too."""
        await trio.lowlevel.checkpoint()
        return work(StopFlag())


class ThreadPool:
    """Some threads that live as long as the context."""

    def __init__(self, name: str, threads: int) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._loop, name=f"{name}-{n}", daemon=True)
            for n in range(threads)
        ]

    def __enter__(self) -> "ThreadPool":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._calls.put(None)
        deadline = time.monotonic() + JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    async def run(self, work: Callable[[StopFlag], T]) -> T:
        """Call `work` on the next free thread; when cancelled, leave it and ask it to stop."""
        task = trio.lowlevel.current_task()
        token = trio.lowlevel.current_trio_token()
        stop = StopFlag()

        def call() -> None:
            with suppress(trio.RunFinishedError):
                # One that was given up while it waited for a thread is not begun.
                token.run_sync_soon(
                    deliver, outcome.capture(stop.check if stop.asked else lambda: work(stop))
                )

        def deliver(result: outcome.Outcome[Any]) -> None:
            if not stop.asked:
                trio.lowlevel.reschedule(task, outcome.Value(result))

        def leave(_: Any) -> trio.lowlevel.Abort:
            stop.asked = True
            return trio.lowlevel.Abort.SUCCEEDED

        self._calls.put(call)
        result: T = _unwrapped(await trio.lowlevel.wait_task_rescheduled(leave))
        return result

    def _loop(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # with all that it refers to, not only when the next one comes


class InlineRunner:
    """Runs the call at once in the calling task."""

    async def run(self, work: Callable[[], T], stop: Stop | None = None) -> T:
        """Call `work` after a checkpoint, which a real wait has too."""
        await trio.lowlevel.checkpoint()
        return work()


class ThreadRunner:
    """One thread that lives as long as the context; never abandons a call that it has begun."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def __enter__(self) -> "ThreadRunner":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.put(None)
        self._thread.join()

    async def run(self, work: Callable[[], T], stop: Stop | None = None) -> T:
        """Call `work` on the thread and wait for its end, also when cancelled.

        When it is cancelled, `stop` is called once, on the event loop, so that the end comes soon.
        """
        task = trio.lowlevel.current_task()
        token = trio.lowlevel.current_trio_token()

        def call() -> None:
            token.run_sync_soon(
                trio.lowlevel.reschedule, task, outcome.Value(outcome.capture(work))
            )

        def never_abandon(_: Any) -> trio.lowlevel.Abort:
            if stop is not None:
                stop()
            return trio.lowlevel.Abort.FAILED

        self._calls.put(call)
        result: T = _unwrapped(await trio.lowlevel.wait_task_rescheduled(never_abandon))
        return result

    def _loop(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # with all that it refers to, not only when the next one comes
