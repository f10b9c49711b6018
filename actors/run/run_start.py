"""Start a run: find what an earlier server may have started, otherwise make its files and start it.

Invariant: a program is started only if it is known that it was not started: it was claimed just
now, or an earlier server left it on purpose, or there is no record of its shim, no process that
carries its id, and none in the database. A directory alone proves nothing: any program may have
removed it.

`SpawnFailed`: the command itself is at fault. `HostUnfit`: the host lacks something; then nothing
was started and nothing is left, so the start can be repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog
import trio

from actors.clock import Clock
from actors.host.launch import HostUnfit, Launch, SpawnFailed
from actors.host.process import Host, Process
from actors.host.shim import ExitRecord
from actors.run.run_files import RunFiles
from actors.runner import Pool
from config.job_type import JobType
from config.weight import is_light
from headway.model.run import Left
from storage.intents import RunIntent
from storage.runs import NOTHING_LEFT

LOOK_AGAIN_S = 0.5

log = structlog.get_logger()


class BegunRun(NamedTuple):
    """A run that has started. `process` None: it is over. `began_us` after boot, if known."""

    process: Process | None
    began_us: int | None = None
    left: Left = NOTHING_LEFT


class ProgramInput(NamedTuple):
    """What a program is given. `directory`: where it starts, if not in a fresh one."""

    argv: list[str]
    stdin: bytes | None
    environment: dict[str, str]
    directory: Path | None


@dataclass(slots=True, kw_only=True)
class RunStart:
    """The start of one run. `job_type` None: it is no longer configured."""

    intent: RunIntent
    job_type: JobType | None
    files: RunFiles
    host: Host
    clock: Clock
    server_environment: Mapping[str, str]
    pool: Pool
    _input: ProgramInput | None = field(default=None, init=False)

    # ---- find --------------------------------------------------------------------------------

    async def find(self, grace_s: float, hurry: trio.Event) -> BegunRun | None:
        """Find what an earlier server has started; None: nothing.

        Leftovers of its program are ended, as by `Host.sweep`.
        """
        if self.intent.boot_id != self.host.boot_id:
            # After a power loss the disk may lack what has happened.
            return BegunRun(None)
        while True:
            try:
                return await self._look(grace_s, hurry)
            except OSError as error:
                # An error does not prove that there is no process.
                log.warning("run search failed", run_id=self.intent.run_id, why=str(error))
                await trio.sleep(LOOK_AGAIN_S)

    async def _look(self, grace_s: float, hurry: trio.Event) -> BegunRun | None:
        intent, run_ids = self.intent, frozenset({self.intent.run_id})
        if not intent.adopt:
            # How it ended is unknown: its parent is gone.
            left = await self.host.sweep(run_ids, grace_s, hurry)
            has_begun = left.processes > 0 or self.files.root.exists()
            return BegunRun(None, left=left) if has_begun or intent.began_us is not None else None
        record = self.record()
        if not record.ended and (process := self.host.adopt(intent.run_id, record, intent.digests)):
            log.info("run adopted", run_id=intent.run_id, pid=process.pid)
            began_us = intent.began_us
            if began_us is None:
                began_us = self.clock.boot_us() - round(process.age_s() * 1e6)
            return BegunRun(process, began_us)
        # The shim is gone. It may have written its last line since the first look.
        record = self.record()
        if record.unstarted or not (record.started or record.ended or intent.began_us is not None):
            return None
        # Leftovers of the program end with its run, also if no server watched its end.
        left = await self.host.sweep(run_ids, grace_s, hurry)
        await self.host.output_settled(self.files.log)
        return BegunRun(None, left=left)

    def record(self) -> ExitRecord:
        """The content of the run's exit file."""
        return self.files.exit_record(self.intent.digests)

    # ---- start -------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Convert its params to the program's input; large ones on a thread."""
        job_type, params = self.job_type, self.intent.params
        if job_type is None or self._input is not None:
            return

        places = job_type.places(self.intent.run_id, self.intent.job_id, params)

        def program_input() -> ProgramInput:
            return ProgramInput(
                job_type.argv(params, places),
                job_type.stdin(params),
                job_type.environment(self.server_environment, params, places),
                None if job_type.directory is None else Path(places["work"]),
            )

        self._input = (
            program_input() if is_light(params) else await self.pool.run(lambda _: program_input())
        )

    def start(self) -> BegunRun:
        """Start its program, which never ran, and whose input is prepared.

        Raises:
            SpawnFailed: the command cannot be started.
            HostUnfit: the host cannot start anything now.
        """
        if self.job_type is None:
            raise SpawnFailed(f"the type {self.intent.type} is no longer configured")
        try:
            self.files.begin()
            began_us = self.clock.boot_us()
            process = self.host.launch(self._launch(self.job_type))
            self._input = None
            return BegunRun(process, began_us)
        except OSError as error:
            self.files.discard()
            raise HostUnfit(f"the files of a run cannot be made: {error.strerror}") from error
        except HostUnfit:
            self.files.discard()
            raise

    def _launch(self, job_type: JobType) -> Launch:
        assert self._input is not None
        intent, files = self.intent, self.files
        environment = {
            **self._input.environment,
            "HEADWAY_RUN_ID": intent.run_id,
            "HEADWAY_ARTIFACTS": str(files.artifacts),
            "HEADWAY_REPORT": str(files.report),
        }
        if intent.job_id is not None:
            environment["HEADWAY_JOB_ID"] = intent.job_id
        return Launch(
            run_id=intent.run_id,
            argv=self._input.argv,
            environment=environment,
            work_dir=self._input.directory or files.work,
            log=files.log,
            exit_file=files.exit,
            stdin=self._input.stdin,
            shim=intent.adopt,
            seal=intent.seal,
            output=job_type.output,
        )
