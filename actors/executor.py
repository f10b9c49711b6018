"""The executor: one task for each run, which `run_lifecycle.py` describes.

It has no state that must survive. What it does for a run is decided by facts, so repeating a
message, after any crash, is harmless.

Invariant: when `RunExited` is sent, no process of the run is left.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import structlog
import trio

from actors.actor import Actor, Envelope, Mailbox
from actors.clock import Clock
from actors.host.inotify import IN_MODIFY, ITSELF, Inotify
from actors.host.process import Host
from actors.messages import (
    CollectRun,
    EnsureRun,
    HoldStarts,
    RunExited,
    StartsBlocked,
    StopRun,
)
from actors.run.collector import Collector
from actors.run.directory_pool import DirectoryPool
from actors.run.run_files import RunFiles
from actors.run.run_lifecycle import RunContext, RunLifecycle
from actors.run.run_reader import RunReader
from actors.run.trash import Trash
from actors.runner import Pool
from storage.runs import Outcome

FILE_CHANGE_PAUSE_S = 0.1
"""The shortest pause between two reads of a run's progress and of the size of its log."""


log = structlog.get_logger()


class Executor(Actor):
    """Starts, watches and ends the processes of runs."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        scheduler: Mailbox,
        publisher: Mailbox,
        host: Host,
        server_environment: Mapping[str, str],
        runs_dir: Path,
        files: Pool,
        collectors: Pool,
        clock: Clock,
    ) -> None:
        super().__init__(mailbox)
        self._scheduler = scheduler
        self._host = host
        self._runs_dir = runs_dir
        self._trash = Trash(runs_dir / ".trash")
        self._directory_pool = DirectoryPool(runs_dir / ".spare", self._trash)
        self._collector = Collector(
            pool=collectors, trash=self._trash, scheduler=scheduler, runs_dir=runs_dir
        )
        self._context = RunContext(
            scheduler=scheduler,
            publisher=publisher,
            host=host,
            server_environment=server_environment,
            files=files,
            collector=self._collector,
            clock=clock,
            watching=self._watching,
            may_start=lambda: not self._holds,
            note_blocked=self._note_blocked,
        )
        self._runs: dict[str, RunLifecycle] = {}
        self._watched: dict[int, dict[str, RunLifecycle]] = {}
        self._holds = False
        self._blocked: dict[str, str] = {}  # by run: why it cannot start
        self._reported = StartsBlocked(reason=None)
        self._life = 0
        self._inotify: Inotify
        self._nursery: trio.Nursery

    async def start(self, nursery: trio.Nursery) -> None:
        """Start watching files. There is nothing to recover: the scheduler names the runs."""
        self._nursery = nursery
        await nursery.start(self._follow_files)
        nursery.start_soon(self._host.run)
        nursery.start_soon(self._collector.empty_trash)

    async def handle(self, batch: list[Envelope]) -> None:
        """Start a run, end it, or collect what an ended one left."""
        for envelope in batch:
            match envelope.message:
                case EnsureRun():
                    self._ensure(envelope.message)
                case StopRun(run_id=run_id, immediately=immediately):
                    # An unknown run has ended; its RunExited was sent.
                    if run := self._runs.get(run_id):
                        run.end(immediately=immediately)
                case CollectRun(unfinished=unfinished, limits=limits):
                    self._nursery.start_soon(self._collector.collect, unfinished, limits)
                case HoldStarts():
                    self._holds = True
                    if envelope.reply is not None:
                        unbegun = (run for run in self._runs.values() if run.unbegun)
                        envelope.reply.answer(frozenset(run.intent.run_id for run in unbegun))
                case other:
                    raise AssertionError(f"the executor does not understand {other!r}")

    def _ensure(self, message: EnsureRun) -> None:
        intent = message.intent
        if message.life != self._life:
            self._life = message.life
            self._reported = StartsBlocked(reason=None)  # that life has no state
            self._nursery.start_soon(self._report_blocked)
        if known := self._runs.get(intent.run_id):
            known.life = message.life
            if intent.stop_reason is not None:
                known.end()
            return
        run = self._life_of(message)
        if intent.stop_reason is not None:
            run.end()
        self._runs[intent.run_id] = run
        self._nursery.start_soon(self._care, run)

    def _life_of(self, message: EnsureRun) -> RunLifecycle:
        intent, job_type = message.intent, message.job_type
        files = RunFiles(
            self._runs_dir / intent.run_id, directory_pool=self._directory_pool, trash=self._trash
        )
        if job_type is not None:
            files = replace(files, report_limit_bytes=job_type.report_limit_bytes)
        reader = RunReader(
            intent=intent,
            files=files,
            job_type=job_type,
            pool=self._context.files,
            scheduler=self._scheduler,
            publisher=self._context.publisher,
            clock=self._context.clock,
        )
        return RunLifecycle(
            context=self._context,
            intent=intent,
            job_type=job_type,
            files=files,
            reader=reader,
            life=message.life,
        )

    async def _care(self, run: RunLifecycle) -> None:
        """Lead a run from its start to the report of its end."""
        outcome = await run.live()
        # The scheduler decides the status, because it knows whether the run was cancelled.
        log.info(
            "run ended",
            run_id=run.intent.run_id,
            job_id=run.intent.job_id,
            pid=outcome.pid,
            exit_code=outcome.exit_code,
            signal=outcome.signal,
        )
        await self._report_end(run, outcome)
        del self._runs[run.intent.run_id]

    async def _report_end(self, run: RunLifecycle, outcome: Outcome) -> None:
        """Report the end again if another life of the scheduler asked while the mailbox was
        full.
        """
        life = None
        while life != run.life:
            life = run.life
            refused_in = life if run.refused else None
            message = RunExited(run_id=run.intent.run_id, outcome=outcome, refused_in=refused_in)
            await self._scheduler.tell(message)

    async def _note_blocked(self, run_id: str, reason: str | None) -> None:
        if reason is None:
            self._blocked.pop(run_id, None)
        else:
            self._blocked[run_id] = reason
        await self._report_blocked()

    async def _report_blocked(self) -> None:
        """Send the scheduler each change once, and each of its lives the present state."""
        reason = next(iter(self._blocked.values()), None)
        unbegun = (run_id for run_id in self._blocked if self._runs[run_id].unbegun)
        message = StartsBlocked(reason=reason, run_ids=frozenset(unbegun))
        if message != self._reported:
            self._reported = message
            await self._scheduler.tell(message)

    @contextmanager
    def _watching(self, run: RunLifecycle) -> Iterator[None]:
        try:
            watch = self._inotify.watch(run.files.root, IN_MODIFY | ITSELF)
        except OSError as error:
            # The host's limit of watches is reached: report and log are read at the end of the run.
            log.warning("run not watched", run_id=run.intent.run_id, why=str(error))
            yield
            return
        # A program may have moved one run's directory to the path of another: one watch for both.
        self._watched.setdefault(watch, {})[run.intent.run_id] = run
        try:
            yield
        finally:
            del self._watched[watch][run.intent.run_id]
            if not self._watched[watch]:
                del self._watched[watch]
                self._inotify.unwatch(watch)

    async def _follow_files(self, task_status: trio.TaskStatus[None]) -> None:
        with Inotify() as self._inotify:
            task_status.started()
            while True:
                for watch in await self._inotify.changes():
                    for run in tuple(self._watched.get(watch, {}).values()):
                        await run.reader.look()
                await trio.sleep(FILE_CHANGE_PAUSE_S)
