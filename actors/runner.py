"""Where blocking calls run: one thread of one's own, or right here.

`ThreadRunner` keeps the event loop free while a commit is on its way to the disk; `InlineRunner`
keeps a simulation free of real threads. Both do one call at a time, in order.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

import outcome
import trio

T = TypeVar("T")
Stop = Callable[[], None]


class InlineRunner:
    """Runs the call at once, where it is."""

    async def run(self, work: Callable[[], T], stop: Stop | None = None) -> T:
        """Call `work`, after a checkpoint as an honest wait has one."""
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
            result = outcome.capture(work)
            token.run_sync_soon(trio.lowlevel.reschedule, task, outcome.Value(result))

        def never_abandon(_: Any) -> trio.lowlevel.Abort:
            if stop is not None:
                stop()
            return trio.lowlevel.Abort.FAILED

        self._calls.put(call)
        done: outcome.Outcome[T] = await trio.lowlevel.wait_task_rescheduled(never_abandon)
        return done.unwrap()

    def _loop(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
