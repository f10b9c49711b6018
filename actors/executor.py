"""The executor: one task for each run, which `run_lifecycle.py` describes.

It holds nothing that must survive: what it is told to ensure is decided by fact, so being told
twice, after any crash, does no harm.

Invariant: when `RunExited` is told, no process of the run is left.
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
"""How often, at most, progress is read and the size of a log is looked at."""


log = structlog.get_logger()


class Executor(Actor):
    """Owns the processes."""

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
        self._blocked: dict[str, str] = {}  # run: why it cannot begin
        self._told = StartsBlocked(reason=None)
        self._life = 0
        self._inotify: Inotify
        self._nursery: trio.Nursery

    async def start(self, nursery: trio.Nursery) -> None:
        """Nothing to recover here: the scheduler says which runs to ensure."""
        self._nursery = nursery
        await nursery.start(self._follow_files)
        nursery.start_soon(self._host.run)
        nursery.start_soon(self._collector.empty_trash)

    async def handle(self, batch: list[Envelope]) -> None:
        """Begin to care for a run, or to end it, or go on with what it has left."""
        for envelope in batch:
            match envelope.message:
                case EnsureRun():
                    self._ensure(envelope.message)
                case StopRun(run_id=run_id, immediately=immediately):
                    # A run that is not here has ended; its RunExited is on its way.
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
            self._told = StartsBlocked(reason=None)  # that life knows of nothing
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
        """From its begin to the report of its end."""
        outcome = await run.live()
        # The status is the scheduler's to decide: it knows whether the run was cancelled.
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
        """Tell it again to a life that has begun, and asked, while the message waited for room."""
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
        """Tell the scheduler of each change once, and each of its lives of what it finds."""
        reason = next(iter(self._blocked.values()), None)
        unbegun = (run_id for run_id in self._blocked if self._runs[run_id].unbegun)
        message = StartsBlocked(reason=reason, run_ids=frozenset(unbegun))
        if message != self._told:
            self._told = message
            await self._scheduler.tell(message)

    @contextmanager
    def _watching(self, run: RunLifecycle) -> Iterator[None]:
        try:
            watch = self._inotify.watch(run.files.root, IN_MODIFY | ITSELF)
        except OSError as error:
            # The host's limit of watches: the report is read at the end, the log cut at the end.
            log.warning("run not watched", run_id=run.intent.run_id, why=str(error))
            yield
            return
        # Programs may give the place of one run to the directory of another: one watch for both.
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
