"""What the tests of slow collections share: a pool that waits, and runs that leave files."""

import hashlib
from collections.abc import Callable
from typing import Any

import trio

from actors.runner import StopFlag
from headway.model.job import JobStatus
from storage.collections import unfinished
from tests.actors.house import House

ONCE = hashlib.sha256(b"once").hexdigest()


LATE_S = 10.0


class SlowPool:
    """Each call waits `late_s` for its thread (None: for ever); then `refuse` may raise."""

    def __init__(self, late_s: float | None = LATE_S) -> None:
        self.late_s = late_s
        self.refuse: Callable[[], None] = lambda: None
        self.calls = 0

    async def run(self, work: Callable[[StopFlag], Any]) -> Any:
        await trio.lowlevel.checkpoint()
        self.calls += 1
        if self.late_s is None:
            await trio.sleep_forever()
        await trio.sleep(self.late_s or 0)
        if getattr(work, "__name__", "") != "empty":  # the trash, which is emptied at any time
            self.refuse()
        return work(StopFlag())


async def collected(house: House, job: Any) -> Any:
    """The run, when nothing of its artifacts is still to come."""
    await until(
        lambda: house.job(job).status is not JobStatus.RUNNING and not unfinished(house.reader)
    )
    return house.run(job)


async def until(reached: Callable[[], bool]) -> None:
    with trio.fail_after(1e6):
        while not reached():  # noqa: ASYNC110 - on virtual time nothing else comes in between
            await trio.sleep(1)


def shown(run: Any) -> list[tuple[str, str | None, bool]]:
    return [(one.name, one.sha256, one.kept) for one in run.artifacts]
