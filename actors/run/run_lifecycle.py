"""The lifecycle of one run: start, wait, end, collect.

Decisions depend on facts, on the run's directory and on living processes: so repeating a message,
after any crash, is harmless. `run_start.py` starts a run or finds it again; `executor.py` owns all
runs.

Invariant: when `live` returns, no process of the run is left.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import NamedTuple

import structlog
import trio

from actors.actor import Mailbox
from actors.clock import Clock
from actors.host.launch import HostUnfit, SpawnFailed
from actors.host.process import Host, Process
from actors.host.shim import SHIM_NAME
from actors.messages import RunLimitExceeded, RunProcess
from actors.run.collector import Collector
from actors.run.host_retry import HostRetry
from actors.run.outcome import failed, outcome_of
from actors.run.run_files import RunFiles
from actors.run.run_reader import RunReader
from actors.run.run_start import RunStart
from actors.runner import Pool
from config.job_type import JobType
from config.run_limits import KeepLimits
from headway.model.run import Left
from storage.intents import RunIntent
from storage.runs import NOTHING_LEFT, Outcome

SHOW_AFTER_S = 0.05
"""A run that ends sooner needs no commit for its process, no watch and no tasks of its own."""

FENCE_AFTER_S = 1.0
IMMEDIATE_GRACE_S = 0.5
DRAIN_S = 1.0
"""How long a run that was asked to end waits for a log that cannot be written."""


log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What all runs share. `watching` reads a run's files when they change.

    `may_start`: whether this life still starts programs. `note_blocked` receives why the host
    prevents the start of a run, and None when it no longer does.
    """

    scheduler: Mailbox
    publisher: Mailbox
    host: Host
    server_environment: Mapping[str, str]
    files: Pool
    collector: Collector
    clock: Clock
    watching: Callable[["RunLifecycle"], AbstractContextManager[None]]
    may_start: Callable[[], bool]
    note_blocked: Callable[[str, str | None], Awaitable[None]]


class Moment(NamedTuple):
    """One moment by both clocks: µs since 1970, which may be set, and µs after boot."""

    at: int
    boot_us: int


@dataclass(slots=True, kw_only=True)
class RunLifecycle:
    """A run of the executor's. `life`: the life of the scheduler that asked for it last.

    `job_type`: the one that its program is started and judged with to the end, whatever is
    configured later; None if its type is not configured. `unbegun`: its program certainly never
    started.
    """

    context: RunContext
    intent: RunIntent
    job_type: JobType | None
    files: RunFiles
    reader: RunReader
    life: int
    unbegun: bool = False
    refused: bool = False
    _start: RunStart = field(init=False)
    _host_retry: HostRetry = field(init=False)
    _short: trio.CancelScope = field(default_factory=trio.CancelScope)
    _stop: trio.Event = field(default_factory=trio.Event)
    _at_once: trio.Event = field(default_factory=trio.Event)
    _signalled: bool = False
    _killed: bool = False
    _term_at: float = inf
    _left: Left = NOTHING_LEFT
    _is_removed: bool = False
    _process: Process | None = None
    _began_us: int | None = None  # after boot
    _end: Moment | None = None

    def __post_init__(self) -> None:
        self.unbegun = self.intent.unbegun
        self._host_retry = HostRetry(self.intent.run_id, self.context.note_blocked)
        self._start = RunStart(
            intent=self.intent,
            job_type=self.job_type,
            files=self.files,
            host=self.context.host,
            clock=self.context.clock,
            server_environment=self.context.server_environment,
            pool=self.context.files,
        )

    def end(self, *, immediately: bool = False) -> None:
        """Ask the run to end, or not to start."""
        self._stop.set()
        self._short.cancel()
        if immediately:
            self._at_once.set()

    async def live(self) -> Outcome:
        """Start or find the run, wait, clean up and collect; returns its outcome."""
        try:
            return await self._collect(await self._run())
        finally:
            if self._process is not None:
                self._process.close()

    async def _run(self) -> Outcome:
        while True:
            try:
                if not await self._begin():
                    return self._timed(failed("interrupted", "it was ended before it could start"))
                if self._process is not None:
                    await self._wait(self._process)
                    await self._refuse_unstarted(self._process)
                return self._timed(await self._host_retry.look(self._judge))
            except SpawnFailed as error:
                await self._host_retry.over()
                self.refused = True
                self._began_us = None
                return self._timed(failed("spawn", str(error)))
            except HostUnfit as error:
                self.unbegun = True
                await self._host_retry.pause(str(error), self._stop)

    # ---- begin -------------------------------------------------------------------------------

    async def _begin(self) -> bool:
        """Find the running program, or start it. False: it must not start any more."""
        begun = None
        if not self.unbegun:
            begun = await self._start.find(self._grace_s(), self._at_once)
            self.unbegun = begun is None
        if begun is None:
            await self._start.prepare()
            if not self.context.may_start():
                await self._stop.wait()  # the next server starts it
            if self._stop.is_set():
                await self._host_retry.over()
                return False
            begun = self._start.start()
            self.unbegun = False
        self._process, self._began_us, self._left = begun
        await self._host_retry.over()
        return True

    async def _refuse_unstarted(self, process: Process) -> None:
        """Raise `HostUnfit` if the shim could not start the program; nothing is left then."""
        record = await self._host_retry.look(lambda: process.exit_record() or self._start.record())
        if not record.unstarted:
            return
        process.close()
        self._process = self._began_us = self._end = None
        self.files.discard()
        raise HostUnfit("no process is left for a program, or the directory of its run has gone")

    # ---- wait --------------------------------------------------------------------------------

    async def _wait(self, process: Process) -> None:
        """Wait until the program has ended, or was ended, and nothing of it is left."""
        self._short = trio.CancelScope(deadline=trio.current_time() + SHOW_AFTER_S)
        if self._stop.is_set():
            self._short.cancel()
        with self._short:
            await process.wait()
            self._end = self._now()
        if self._short.cancelled_caught:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._show, process)
                nursery.start_soon(self._report_timeout, process)
                nursery.start_soon(self._terminate_on_stop, process)
                nursery.start_soon(self.reader.keep_progress)
                await process.wait()
                self._end = self._now()
                nursery.cancel_scope.cancel()
        # Leftovers of the program end with its run; a killed shim leaves everything.
        end_rest = partial(process.end_rest, self._grace_s(), self._at_once)
        self._left = await self._host_retry.until_possible(end_rest)
        await self._drain(process)
        if not await self._host_retry.look(lambda: process.has_log(self.files.log)):
            self._is_removed = not self.files.root.exists()
            await self._save_log(process)

    async def _show(self, process: Process) -> None:
        """Report a run that lasts: its process id and its progress; watch its log."""
        log.info("run started", run_id=self.intent.run_id, pid=process.pid)
        with self.context.watching(self):
            # Read what was written before the watch started.
            await self.reader.look()
            await self._report_process(process)
            await trio.sleep(FENCE_AFTER_S)
            await self._host_retry.until_possible(lambda: self._on_thread(process.fence))
            await trio.sleep_forever()

    async def _on_thread(self, work: Callable[[], None]) -> None:
        with trio.CancelScope(shield=True):  # a call that has started is completed
            await self.context.files.run(lambda _: work())

    async def _report_process(self, process: Process) -> None:
        assert self._began_us is not None
        await self.context.scheduler.tell(
            RunProcess(run_id=self.intent.run_id, pid=process.pid, began_us=self._began_us)
        )

    async def _report_timeout(self, process: Process) -> None:
        age_s = await self._host_retry.look(process.age_s)
        await trio.sleep(max(0.0, self.intent.timeout_s - age_s))
        await self.context.scheduler.tell(
            RunLimitExceeded(run_id=self.intent.run_id, reason="timeout")
        )

    async def _terminate_on_stop(self, process: Process) -> None:
        await self._stop.wait()
        grace_s = self._grace_s()
        self._term_at = trio.current_time()
        if not self._has_ended(process):
            self._signalled = True
            self.files.note_signal()
        await self._host_retry.look(process.terminate)
        with trio.move_on_after(grace_s):
            await self._at_once.wait()
            await trio.sleep(min(grace_s, IMMEDIATE_GRACE_S))
        self._killed = True
        await self._host_retry.until_possible(process.kill)

    async def _drain(self, process: Process) -> None:
        """Wait for its output, which a full disk delays; briefly, if the run was asked to end.

        The log writer writes the rest when there is space, also after the end of the server.
        """
        with trio.move_on_after(SHOW_AFTER_S):
            await process.drain_output()
            return
        async with trio.open_nursery() as nursery:

            async def hurry() -> None:
                await self._stop.wait()
                await trio.sleep(DRAIN_S)
                nursery.cancel_scope.cancel()

            nursery.start_soon(hurry)
            await process.drain_output()
            nursery.cancel_scope.cancel()

    async def _save_log(self, process: Process) -> None:
        """Save the output of a run whose directory a program has removed."""
        try:
            await self._on_thread(lambda: process.save_log(self.files.log))
        except OSError as error:
            log.warning("log not saved", run_id=self.intent.run_id, why=str(error))

    def _has_ended(self, process: Process) -> bool:
        """Whether the program has ended by itself, according to its record."""
        with suppress(OSError):
            return (process.exit_record() or self._start.record()).ended
        return False

    def _was_signalled(self) -> bool:
        """Whether this server sent a signal, or an earlier one that had a reason to."""
        return self._signalled or (
            self.intent.stop_reason is not None and self.files.was_signalled()
        )

    def _grace_s(self) -> float:
        """How long a program that was sent TERM may still take."""
        job_type = self.job_type
        grace_s = IMMEDIATE_GRACE_S if job_type is None else job_type.kill_grace_s
        return max(0.0, min(grace_s, self._term_at + grace_s - trio.current_time()))

    # ---- collect -----------------------------------------------------------------------------

    def _judge(self) -> Outcome:
        """The outcome by the exit file, or by the program's parent."""
        own = None if self._process is None else self._process.exit_record()
        if own is None and not self.intent.adopt:
            return failed("interrupted", "its server ended, and its type has adopt = false")
        record = own or self._start.record()
        job_type = self.job_type
        skip_codes = () if job_type is None else job_type.skip_exit_codes
        if self.intent.adopt and record.exit_code in (126, 127):
            line = self.files.last_log_line()
            if line.startswith(f"{SHIM_NAME}: "):
                return failed("spawn", f"cannot start the program: {line}")
        return outcome_of(record, skip_codes, killed=self._killed)

    def _timed(self, outcome: Outcome) -> Outcome:
        """Add when the program ended, and how long it ran."""
        began_us = self._began_us
        if began_us is None and self.intent.boot_id == self.context.host.boot_id:
            began_us = self.intent.began_us
        end = self._end or self._end_on_record(began_us or 0)
        duration_us = 0
        if began_us is not None:
            duration_us = max(0, end.boot_us - began_us)
        elif self._start.record().started:
            return replace(
                outcome, finished_at=end.at
            )  # the duration is unknown: only the wall clock has both times
        return replace(outcome, finished_at=end.at, duration_us=duration_us)

    def _end_on_record(self, began_us: int) -> Moment:
        """When the exit file was written, if the program ended unwatched; otherwise now.

        The time of a file is by the wall clock only, which may have been set since.
        """
        now = self._now()
        with suppress(OSError):
            if self._start.record().ended:
                at = self.files.exit_written_at()
                boot_us = now.boot_us - (now.at - at)
                if began_us <= boot_us <= now.boot_us:
                    return Moment(at, boot_us)
        return now

    def _now(self) -> Moment:
        return Moment(self.context.clock.now(), self.context.clock.boot_us())

    async def _collect(self, outcome: Outcome) -> Outcome:
        """Add the last report, the size of the log, and the artifacts that are quick to collect."""
        pid = None if self._process is None else self._process.pid
        if pid is None:
            pid = (await self._host_retry.look(self._start.record)).pid
        outcome = replace(outcome, pid=pid, left=self._left, signalled=self._was_signalled())
        try:
            remains = await self._host_retry.look(self.files.part)
        except FileNotFoundError:
            why = "its directory is not there any more"
            return outcome if pid is None else replace(outcome, collection_reason=why)
        except OSError as error:
            why = f"its directory cannot be opened: {error.strerror}"
            return replace(outcome, collection_reason=why)
        if self._is_removed:  # and was made again for the log
            why = "its directory was removed, and what it had left is lost"
            remains = replace(remains, faults=(why, *remains.faults))
        outcome, faults = await self.reader.finish(outcome, remains)
        limits = KeepLimits() if self.job_type is None else self.job_type.keep_limits
        return await self.context.collector.collect_into(
            outcome,
            self.intent.run_id,
            replace(remains, faults=tuple(faults)),
            limits,
            self._stop if self.reader.fails_beyond_limits else None,
        )
