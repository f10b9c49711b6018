"""The context of handlers: mailboxes to write through, connections to read from.

Point reads run on the event loop (20 µs); a read that may walk many rows goes through `reads.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import apsw
import trio

from actors.actor import Ask, Mailbox
from actors.clock import Clock
from actors.event_buffer import EventBuffer
from actors.host.inotify import FileWatcher
from actors.inspector import Inspector
from actors.rules.core import Core
from actors.runner import Pool
from actors.storage_watch import StorageWatch
from actors.tally import Tally
from config.job_type import JobType
from config.settings import Settings
from headway.model.job import TERMINAL, Job, JobStatus
from headway.model.problem import Refusal
from storage.collections import is_unfinished
from storage.database import Runner
from storage.jobs import find_job, status_of
from storage.runs import is_running
from web.api.request_priority import RequestPriority
from web.reads import Reads
from web.streams.broadcaster import Broadcaster

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What `serve.py` provides to every handler and stream."""

    settings: Settings
    core: Core
    scheduler: Mailbox
    stats: Mailbox
    events: EventBuffer
    broadcaster: Broadcaster
    request_priority: RequestPriority
    clock: Clock
    files: FileWatcher
    reader: apsw.Connection
    reads: Reads
    file_pool: Pool
    batch_runner: Runner
    body_runner: Runner
    runs_dir: Path
    started_at: int
    inspector: Inspector
    storage: StorageWatch
    tally: Tally
    draining: trio.Event
    log_lines_dropped: Callable[[], int] = int  # 0
    ready: trio.Event = field(default_factory=trio.Event)

    @property
    def job_types(self) -> Mapping[str, JobType]:
        """The job types that are configured now."""
        return self.core.setup.job_types

    async def ask(self, message: Ask[T]) -> T:
        """Ask the scheduler."""
        return await self.scheduler.ask(message)

    async def walk(self, read: Callable[[apsw.Connection], T], *, is_long: bool = False) -> T:
        """Run a read that may walk many rows, off the loop: see `Reads.read`."""
        return await self.reads.read(read, is_long=is_long)

    def job_type(self, name: str) -> JobType:
        """The configured type.

        Raises:
            Refusal: `unknown_type`, naming those that exist.
        """
        if (job_type := self.job_types.get(name)) is not None:
            return job_type
        known = ", ".join(sorted(self.job_types))
        raise Refusal("unknown_type", f"there is no job type {name!r}; there are: {known}")

    def with_progress(self, job: Job) -> Job:
        """The Job with the newest progress of its program, which may not be stored yet."""
        if job.status is not JobStatus.RUNNING:
            return job
        progress = self.events.progress(job.job_id)
        return job if progress is None else job.model_copy(update={"progress": progress})

    async def until_ended(self, job_id: str, timeout_s: float) -> Job:
        """The Job when it has ended, or as it is when the time is over or the server drains."""
        with self.events.subscribe(job_id) as changes, trio.move_on_after(timeout_s):
            async with self.unless_draining():
                while status_of(self.reader, job_id) not in TERMINAL:
                    await changes.wait()
        return find_job(self.reader, job_id)

    async def until_collected(self, job_id: str, timeout_s: float) -> None:
        """Return when its artifacts are collected, or the time is over."""
        with self.events.subscribe(job_id) as changes, trio.move_on_after(timeout_s):
            async with self.unless_draining():
                while self._is_collecting(job_id):
                    await changes.wait()

    def _is_collecting(self, job_id: str) -> bool:
        status = status_of(self.reader, job_id)
        return status not in TERMINAL or is_unfinished(self.reader, job_id)

    async def until_run_ended(self, run_id: str) -> None:
        """Return when the run has ended."""
        with self.events.subscribe(run_id) as changes:
            while is_running(self.reader, run_id):
                await changes.wait()

    def unless_draining(self) -> "UnlessDraining":
        """A block that is cancelled as soon as the server begins to shut down."""
        return UnlessDraining(self.draining)


class UnlessDraining:
    """Cancels its block when the event is set."""

    def __init__(self, draining: trio.Event) -> None:
        self._draining = draining
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> None:
        self._nursery = await self._manager.__aenter__()
        self._nursery.start_soon(self._watch)

    async def __aexit__(self, *error: object) -> bool | None:
        self._nursery.cancel_scope.cancel()
        return await self._manager.__aexit__(*error)  # type: ignore[arg-type]

    async def _watch(self) -> None:
        await self._draining.wait()
        self._nursery.cancel_scope.cancel()
