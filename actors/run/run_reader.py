"""Read what a run writes, while it runs and at its end: the size of its log, and its report.

All of it off the event loop, one call at a time for a run. Errors caused by a program's files do
not leave this module: they become faults of that run.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import structlog
import trio

from actors.actor import Mailbox
from actors.clock import Clock
from actors.messages import ProgressReported, RunLimitExceeded, RunProgressed
from actors.run.log_times import LogTimes
from actors.run.run_files import BLOCK_BYTES, Remains, RunFiles
from actors.runner import Pool
from config.job_type import OUTPUT_LIMIT_BYTES, JobType
from headway.model.run import LogSummary, RunStatus
from storage.intents import RunIntent
from storage.runs import TOO_MUCH_LEFT, TOO_MUCH_OUTPUT, Outcome

PROGRESS_PAUSE_S = 5.0
"""The shortest pause between two stored reports of progress. Every change is shown."""

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class RunReader:
    """Reads the files of one run. `job_type` None: it is no longer configured."""

    intent: RunIntent
    files: RunFiles
    job_type: JobType | None
    pool: Pool
    scheduler: Mailbox
    publisher: Mailbox
    clock: Clock
    _reported: trio.Event = field(default_factory=trio.Event)
    _lock: trio.Lock = field(default_factory=trio.Lock)
    _is_over: bool = False
    _times: LogTimes | None = None  # of a run that lasts

    async def look(self) -> None:
        """Read what the program has written since the last call: log, progress."""
        async with self._lock:
            if self._is_over:
                return
            try:
                has_progressed, is_over_limit = await self._on_thread(self._look)
            except Exception:
                log.exception("run not read", run_id=self.intent.run_id)
                return
        if has_progressed:
            await self._show_progress()
        if is_over_limit:
            await self.scheduler.tell(
                RunLimitExceeded(run_id=self.intent.run_id, reason="output_limit")
            )

    def _look(self) -> tuple[bool, bool]:
        if self._times is None:
            self._times = LogTimes(self.files.times)
        self._times.note(self.files.log_bytes(), self.clock.now())
        return self.files.read_report(), self._cap_log()

    async def finish(self, outcome: Outcome, remains: Remains) -> tuple[Outcome, list[str]]:
        """Add what report and log contain at the end; and the faults of reading them."""
        faults = list(remains.faults)
        summary = LogSummary(bytes=remains.log_bytes, truncated=False)
        if self._times is None and not remains.has_report and remains.log_bytes <= BLOCK_BYTES:
            return replace(outcome, log=summary), faults
        async with self._lock:
            self._is_over = True
            try:
                is_over_limit, summary = await self._on_thread(self._look_last)
            except Exception:
                # Raised, it would be requested again at each start, and end each server.
                log.exception("report not read", run_id=self.intent.run_id)
                return outcome, [*faults, "headway failed to read its report: see its log"]
        report = self.files.report_state
        if report.fault is not None:
            faults.append(report.fault)
        if outcome.status is not RunStatus.FAILED:
            if is_over_limit:
                outcome = replace(outcome, status=RunStatus.FAILED, error=TOO_MUCH_OUTPUT)
            elif report.is_cut and self.fails_beyond_limits:
                outcome = replace(outcome, status=RunStatus.FAILED, error=TOO_MUCH_LEFT)
        outcome = replace(outcome, result=report.result, progress=report.progress, log=summary)
        return outcome, faults

    def _look_last(self) -> tuple[bool, LogSummary]:
        self.files.read_report(ended=True)
        if self._times is not None:
            self._times.finish(self.files.log_bytes(), self.clock.now())
        is_over_limit = self._cap_log(has_ended=True)
        summary = LogSummary(bytes=self.files.log_bytes(), truncated=self.files.log_is_cut())
        return is_over_limit, summary

    @property
    def fails_beyond_limits(self) -> bool:
        """Whether a run of this type fails if it leaves more than the type keeps."""
        return self.job_type is not None and self.job_type.on_artifact_limit == "fail"

    async def _on_thread(self, work: Callable[[], T]) -> T:
        # Shielded, because two calls must not work on the same files.
        with trio.CancelScope(shield=True):
            return await self.pool.run(lambda _: work())
        raise AssertionError("a shield lets nothing through")

    async def _show_progress(self) -> None:
        """Publish the progress at once; `keep_progress` stores it."""
        progress = self.files.report_state.progress
        if self.intent.job_id is not None and progress is not None:
            await self.publisher.tell(
                ProgressReported(
                    run_id=self.intent.run_id,
                    job_id=self.intent.job_id,
                    type=self.intent.type,
                    progress=progress,
                    at=self.clock.now(),
                )
            )
            self._reported.set()

    async def keep_progress(self) -> None:
        """Store the newest progress. No timer runs while the program reports nothing."""
        while True:
            await self._reported.wait()
            self._reported = trio.Event()
            progress = self.files.report_state.progress
            assert self.intent.job_id is not None
            assert progress is not None
            await self.scheduler.tell(
                RunProgressed(
                    run_id=self.intent.run_id, job_id=self.intent.job_id, progress=progress
                )
            )
            await trio.sleep(PROGRESS_PAUSE_S)

    def _cap_log(self, *, has_ended: bool = False) -> bool:
        """Drop the middle of a log that is too long. True if the run must be ended for it."""
        job_type = self.job_type
        limit_bytes = OUTPUT_LIMIT_BYTES if job_type is None else job_type.output_limit_bytes
        if self.files.log_bytes() <= limit_bytes:
            return False
        try:
            self.files.drop_middle(limit_bytes, has_ended=has_ended)
        except OSError as error:
            # On a file system without holes the limit is enforced by ending the run.
            log.warning("log cannot be cut", run_id=self.intent.run_id, why=str(error))
            return True
        return job_type is not None and job_type.on_output_limit == "fail"
