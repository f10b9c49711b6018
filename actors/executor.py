"""The executor: makes runs true. For each run one task starts it or finds it again, waits, reports.

It holds nothing that must survive: what it is told to ensure it decides by fact, from the run's
directory and the processes that live. So being told twice, after any crash, does no harm.

Invariant: when `RunExited` is told, no process of the run is left.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
import trio

from actors.actor import Actor, Envelope, Mailbox
from actors.clock import Clock
from actors.inotify import Inotify
from actors.job_type import OUTPUT_LIMIT_BYTES, JobType
from actors.launch import Launch, SpawnFailed
from actors.log_times import LogTimes
from actors.messages import (
    EnsureRun,
    RunExited,
    RunOverstepped,
    RunProcess,
    RunProgressed,
    StopRun,
)
from actors.process import Host, Process
from actors.run_files import RunFiles
from actors.shim import SHIM_NAME
from actors.spare import Spares
from actors.verdict import failed, outcome_of
from storage.database import Runner
from storage.job import Artifact, LogSummary, RunStatus
from storage.runs import TOO_MUCH_OUTPUT, Outcome, RunIntent

SHOW_AFTER_S = 0.05
"""A run that is over sooner brings all with its end: no commit, no watch, no tasks of its own."""

FENCE_AFTER_S = 1.0
FILE_CHANGE_PAUSE_S = 0.1
"""How often, at most, progress is read and the size of a log is looked at."""

IMMEDIATE_GRACE_S = 0.5
LOOK_AGAIN_S = 0.5


log = structlog.get_logger()


@dataclass(slots=True)
class _Run:
    """A run in the executor's care. `life`: which of the scheduler's asked for it last."""

    intent: RunIntent
    files: RunFiles
    life: int
    short: trio.CancelScope = field(default_factory=trio.CancelScope)
    stop: trio.Event = field(default_factory=trio.Event)
    at_once: trio.Event = field(default_factory=trio.Event)
    killed: bool = False
    refused: bool = False
    process: Process | None = None
    times: LogTimes | None = None  # of a run that lasts

    def end(self) -> None:
        """It shall end, or shall not begin."""
        self.stop.set()
        self.short.cancel()


class Executor(Actor):
    """Owns the processes."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        scheduler: Mailbox,
        host: Host,
        job_types: Mapping[str, JobType],
        server_environment: Mapping[str, str],
        runs_dir: Path,
        runner: Runner,
        clock: Clock,
    ) -> None:
        super().__init__(mailbox)
        self._scheduler = scheduler
        self._host = host
        self._types = job_types
        self._server_environment = server_environment
        self._runs_dir = runs_dir
        self._runner = runner
        self._clock = clock
        self._spares = Spares(runs_dir / ".spare")
        self._runs: dict[str, _Run] = {}
        self._watched: dict[int, _Run] = {}
        self._inotify: Inotify
        self._nursery: trio.Nursery

    async def start(self, nursery: trio.Nursery) -> None:
        """Nothing to recover here: the scheduler says which runs to ensure."""
        self._nursery = nursery
        await nursery.start(self._follow_files)
        nursery.start_soon(self._host.reap)

    async def handle(self, batch: list[Envelope]) -> None:
        """Begin to care for a run, or begin to end it."""
        for envelope in batch:
            match envelope.message:
                case EnsureRun(intent=intent, life=life):
                    self._ensure(intent, life)
                case StopRun(run_id=run_id, immediately=immediately):
                    # A run that is not here has ended; its RunExited is on its way.
                    if run := self._runs.get(run_id):
                        run.end()
                        if immediately:
                            run.at_once.set()
                case other:
                    raise AssertionError(f"the executor does not understand {other!r}")

    def _ensure(self, intent: RunIntent, life: int) -> None:
        if known := self._runs.get(intent.run_id):
            known.life = life
            if intent.stop_reason is not None:
                known.end()
            return
        files = RunFiles(self._runs_dir / intent.run_id, spares=self._spares)
        run = _Run(intent=intent, files=files, life=life)
        if intent.stop_reason is not None:
            run.end()
        self._runs[intent.run_id] = run
        self._nursery.start_soon(self._care, run)

    async def _care(self, run: _Run) -> None:
        """The life of one run: begin or find, wait, clean up, collect, report."""
        try:
            outcome = await self._collect(run, await self._live(run))
        finally:
            if run.process is not None:
                run.process.close()
        # The status is the scheduler's to decide: it knows whether the run was cancelled.
        log.info(
            "run ended",
            run_id=run.intent.run_id,
            job_id=run.intent.job_id,
            pid=outcome.pid,
            exit_code=outcome.exit_code,
            signal=outcome.signal,
        )
        await self._tell_end(run, outcome)
        del self._runs[run.intent.run_id]

    async def _tell_end(self, run: _Run, outcome: Outcome) -> None:
        """Tell it again to a life that has begun, and asked, while the message waited for room."""
        life = None
        while life != run.life:
            life = run.life
            refused_in = life if run.refused else None
            message = RunExited(run_id=run.intent.run_id, outcome=outcome, refused_in=refused_in)
            await self._scheduler.tell(message)

    async def _live(self, run: _Run) -> Outcome:
        try:
            run.process = await self._begin(run)
        except SpawnFailed as error:
            run.refused = True
            return failed("spawn", str(error))
        if run.process is not None:
            await self._wait(run, run.process)
        return self._judge(run)

    # ---- begin -------------------------------------------------------------------------------

    async def _begin(self, run: _Run) -> Process | None:
        """The run's process: started now, or found. None: it has ended, or shall never begin."""
        if run.intent.boot_id != self._host.boot_id:
            # Power may have gone: what the disk does not show may have happened all the same.
            return None
        with _as_spawn_failure():
            is_new = run.files.create()
        if is_new:
            return None if run.stop.is_set() else self._launch(run)
        if not run.intent.adopt:
            # It may have begun, and how it ended is known to nobody: its parent has gone.
            await self._host.sweep(frozenset({run.intent.run_id}))
            return None
        while True:
            try:
                return await self._find(run)
            except OSError as error:
                # To see nothing is not to know that nothing is there.
                log.warning("run not looked for", run_id=run.intent.run_id, why=str(error))
                await trio.sleep(LOOK_AGAIN_S)

    async def _find(self, run: _Run) -> Process | None:
        """The process of a run that may have been started before. OSError: look again."""
        record = run.files.exit_record()
        if not record.ended and (process := self._host.adopt(run.intent.run_id, record)):
            log.info("run adopted", run_id=run.intent.run_id, pid=process.pid)
            return process
        # The shim has gone. It may have written its last line since we looked.
        record = run.files.exit_record()
        if record.started:
            # What the program left behind ends with its run, also if nobody saw it end.
            await self._host.sweep(frozenset({run.intent.run_id}))
            return None
        # Neither a word of the shim nor a process: never started. Now, under the same id.
        with _as_spawn_failure():
            run.files.begin_anew()
        return None if run.stop.is_set() else self._launch(run)

    def _launch(self, run: _Run) -> Process:
        intent, files = run.intent, run.files
        job_type = self._types.get(intent.type)
        if job_type is None:
            raise SpawnFailed(f"the type {intent.type} is no longer configured")
        stdin = job_type.stdin(intent.params)
        if stdin is not None:
            with _as_spawn_failure():
                files.stdin.write_bytes(stdin)
        environment = {
            **job_type.environment(self._server_environment),
            "HEADWAY_RUN_ID": intent.run_id,
            "HEADWAY_ARTIFACTS": str(files.artifacts),
            "HEADWAY_REPORT": str(files.report),
        }
        if intent.job_id is not None:
            environment["HEADWAY_JOB_ID"] = intent.job_id
        return self._host.launch(
            Launch(
                run_id=intent.run_id,
                argv=job_type.argv(intent.params),
                environment=environment,
                work_dir=files.work,
                log=files.log,
                exit_file=files.exit,
                stdin=None if stdin is None else files.stdin,
                shim=intent.adopt,
            )
        )

    # ---- wait --------------------------------------------------------------------------------

    async def _wait(self, run: _Run, process: Process) -> None:
        """Until the program has ended by itself or been ended, and nothing of it is left."""
        run.short.deadline = trio.current_time() + SHOW_AFTER_S
        with run.short:
            await process.wait()
        if run.short.cancelled_caught:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._show, run, process)
                nursery.start_soon(self._end_when_late, run, process)
                nursery.start_soon(self._end_when_told, run, process)
                await process.wait()
                nursery.cancel_scope.cancel()
        # What the program left behind ends with its run; a shim that was killed leaves it all.
        with trio.CancelScope(shield=True):
            await process.kill()

    async def _show(self, run: _Run, process: Process) -> None:
        """Of a run that lasts: its process id, its progress, and an eye on its log."""
        log.info("run started", run_id=run.intent.run_id, pid=process.pid)
        with self._watching(run):
            # What was written before the directory was watched.
            run.times = LogTimes(run.files.times)
            await self._look_at(run)
            await self._scheduler.tell(RunProcess(run_id=run.intent.run_id, pid=process.pid))
            await trio.sleep(FENCE_AFTER_S)
            await self._runner.run(process.fence)
            await trio.sleep_forever()

    async def _end_when_late(self, run: _Run, process: Process) -> None:
        await trio.sleep(max(0.0, run.intent.timeout_s - process.age_s()))
        await self._scheduler.tell(RunOverstepped(run_id=run.intent.run_id, reason="timeout"))

    async def _end_when_told(self, run: _Run, process: Process) -> None:
        await run.stop.wait()
        job_type = self._types.get(run.intent.type)
        grace_s = IMMEDIATE_GRACE_S if job_type is None else job_type.kill_grace_s
        process.terminate()
        with trio.move_on_after(grace_s):
            await run.at_once.wait()
            await trio.sleep(min(grace_s, IMMEDIATE_GRACE_S))
        run.killed = True
        await process.kill()

    # ---- collect -----------------------------------------------------------------------------

    def _judge(self, run: _Run) -> Outcome:
        """What the exit file or the program's parent says, in the words of the contract."""
        own = None if run.process is None else run.process.exit_record()
        if own is None and not run.intent.adopt:
            return failed("interrupted", "its server went down, and its type says adopt = false")
        record = own or run.files.exit_record()
        job_type = self._types.get(run.intent.type)
        skip_codes = () if job_type is None else job_type.skip_exit_codes
        if own is None and record.exit_code in (126, 127):
            line = run.files.last_log_line()
            if line.startswith(f"{SHIM_NAME}: "):
                return failed("spawn", f"cannot start the program: {line}")
        return outcome_of(record, skip_codes, killed=run.killed)

    async def _collect(self, run: _Run, outcome: Outcome) -> Outcome:
        """Add the last report, the artifacts and the size of the log."""
        files = run.files
        if not files.root.exists():
            return outcome
        if files.read_report(ended=True):
            await self._tell_progress(run)
        if run.times is not None:
            run.times.finish(files.log_bytes(), self._clock.now())
        artifacts: tuple[Artifact, ...] = ()
        if files.has_artifacts():
            artifacts = await self._runner.run(files.list_artifacts)
        if self._cap_log(run) and outcome.status is not RunStatus.FAILED:
            outcome = replace(outcome, status=RunStatus.FAILED, error=TOO_MUCH_OUTPUT)
        files.remove_work()
        return replace(
            outcome,
            pid=run.process.pid if run.process else files.exit_record().pid,
            result=files.report_state.result,
            artifacts=artifacts,
            log=LogSummary(bytes=files.log_bytes(), truncated=files.log_is_cut()),
        )

    # ---- files -------------------------------------------------------------------------------

    @contextmanager
    def _watching(self, run: _Run) -> Iterator[None]:
        try:
            watch = self._inotify.watch(run.files.root)
        except OSError as error:
            # The host's limit of watches: the report is read at the end, the log cut at the end.
            log.warning("run not watched", run_id=run.intent.run_id, why=str(error))
            yield
            return
        self._watched[watch] = run
        try:
            yield
        finally:
            del self._watched[watch]
            self._inotify.unwatch(watch)

    async def _follow_files(self, task_status: trio.TaskStatus[None]) -> None:
        with Inotify() as self._inotify:
            task_status.started()
            while True:
                for watch in await self._inotify.changes():
                    if run := self._watched.get(watch):
                        await self._look_at(run)
                await trio.sleep(FILE_CHANGE_PAUSE_S)

    async def _look_at(self, run: _Run) -> None:
        if run.times is not None:
            run.times.note(run.files.log_bytes(), self._clock.now())
        if run.files.read_report():
            await self._tell_progress(run)
        if self._cap_log(run):
            await self._scheduler.tell(
                RunOverstepped(run_id=run.intent.run_id, reason="output_limit")
            )

    async def _tell_progress(self, run: _Run) -> None:
        progress = run.files.report_state.progress
        if run.intent.job_id is not None and progress is not None:
            await self._scheduler.tell(
                RunProgressed(run_id=run.intent.run_id, job_id=run.intent.job_id, progress=progress)
            )

    def _cap_log(self, run: _Run) -> bool:
        """Drop the middle of a log that is too long. True if the type wants the run ended."""
        limit_bytes = self._output_limit_bytes(run)
        if run.files.log_bytes() <= limit_bytes:
            return False
        try:
            run.files.drop_middle(limit_bytes)
        except OSError as error:
            # A file system without holes: the limit is kept by ending the run.
            log.warning("log cannot be cut", run_id=run.intent.run_id, why=str(error))
            return True
        job_type = self._types.get(run.intent.type)
        return job_type is not None and job_type.on_output_limit == "fail"

    def _output_limit_bytes(self, run: _Run) -> int:
        job_type = self._types.get(run.intent.type)
        return OUTPUT_LIMIT_BYTES if job_type is None else job_type.output_limit_bytes


@contextmanager
def _as_spawn_failure() -> Iterator[None]:
    """Files that cannot be made, for want of space or descriptors, are a failure of the run."""
    try:
        yield
    except OSError as error:
        raise SpawnFailed(f"cannot make the files of the run: {error.strerror}") from error
