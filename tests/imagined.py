"""The imitated host of tests: a clock that can be set, programs without processes."""

import os
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import trio

from actors.clock import VirtualClock
from actors.host.launch import HostUnfit, Launch, SpawnFailed
from actors.host.shim import ExitRecord
from headway.model.run import Left

US = 1_000_000


class SettableClock(VirtualClock):
    """Virtual time that can be set, which wakes its waiter as the system's clock does."""

    def __init__(self) -> None:
        super().__init__()
        self._was_set = trio.Event()

    def set_by_s(self, seconds: float) -> None:
        self.start += round(seconds * US)
        self._was_set.set()
        self._was_set = trio.Event()

    async def wait_until(self, moment: int) -> None:
        with trio.move_on_after(max(0.0, (moment - self.now()) / US)):
            await self._was_set.wait()


@dataclass(kw_only=True)
class Program:
    """The behaviour of a program. `lasts_s` None: until it is signalled."""

    lasts_s: float | None = 1.0
    exit_code: int = 0
    heeds_term: bool = True
    shim_speaks: bool = True  # False: the shim ends without a record
    output: bytes = b""
    report: bytes = b""
    artifacts: dict[str, bytes] = field(default_factory=dict)
    work: tuple[str, ...] = ()  # directories that it leaves in its working directory
    spawn_error: str | None = None
    unstarted: bool = False  # its shim has no process for it
    leaves_behind: bool = False  # something that lives on when the program has ended


class ImaginedProcess:
    """A process of a `FakeHost`; it lives on when the server does not watch it."""

    def __init__(self, host: "FakeHost", launch: Launch, program: Program, pid: int) -> None:
        self.pid = pid
        self.launch = launch
        self.program = program
        self.started_at = trio.current_time()
        self.signals: list[tuple[str, float]] = []
        self.closed = 0
        self.fenced = False
        self.left_behind = False
        self.ended = trio.Event()
        self.code: int | None = None  # what it ended with, if the shim lived to see it
        self.was_signalled = False  # before its end
        self.by_signal = False
        self._host = host

    @property
    def lives(self) -> bool:
        return not self.ended.is_set()

    def age_s(self) -> float:
        return trio.current_time() - self.started_at

    async def wait(self) -> None:
        await self.ended.wait()

    def exit_record(self) -> ExitRecord | None:
        if self.launch.shim:
            return None
        if self.code is None:
            return ExitRecord(pid=self.pid, signal=9)
        if self.by_signal:
            return ExitRecord(pid=self.pid, signal=self.code - 128)
        return ExitRecord(pid=self.pid, exit_code=self.code)

    def fence(self) -> None:
        self.fenced = True

    def terminate(self) -> None:
        self.signals.append(("TERM", trio.current_time() - self._host.born))
        if self.program.heeds_term:
            self.end(143, by_signal=True)

    async def kill(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.lives:
            self.signals.append(("KILL", trio.current_time() - self._host.born))
            self.end(None)
        self.left_behind = False

    async def end_rest(self, grace_s: float, hurry: trio.Event) -> Left:
        await trio.lowlevel.checkpoint()
        left, self.left_behind = int(self.left_behind), False
        return Left(processes=left, killed=0)

    def has_log(self, path: Path) -> bool:
        return True

    def save_log(self, path: Path) -> None: ...

    async def drain_output(self) -> None:
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        self.closed += 1

    def say(self, words: str) -> None:
        if not self.launch.shim:
            return
        append(self.launch.exit_file, words.encode())

    def end(self, code: int | None, *, by_signal: bool = False) -> None:
        """End the program, with the shim's record unless KILL ended the shim too."""
        if not self.lives:
            return
        self.was_signalled = bool(self.signals)
        speaks = self.program.shim_speaks or not self.launch.shim
        self.code = code if speaks else None
        self.by_signal = by_signal
        if code is not None and speaks:
            seal = self.launch.seal and f" {self.launch.seal}"
            self.say(("Terminated\n" if by_signal else "") + f"exit {code}{seal}\n")
        self.left_behind = self.program.leaves_behind
        self.ended.set()


class FakeHost:
    """Imitates processes: `programs` defines the behaviour by the first word of a command line."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.boot_id = "boot-1"
        self.unfit: str | None = None
        """Why it starts nothing."""
        self.programs: dict[str, Program] = {}
        self.processes: list[ImaginedProcess] = []
        self.launches: list[Launch] = []
        self.swept: list[frozenset[str]] = []
        self.born = trio.current_time()
        self.on_launch: Callable[[Launch], None] = lambda _: None
        self.sleep: Callable[[float], Awaitable[None]] = trio.sleep
        self._pids = count(1001)
        self._nursery = nursery

    @property
    def order(self) -> list[str]:
        """Run ids in the order of their launches."""
        return [launch.run_id for launch in self.launches]

    @property
    def living(self) -> list[ImaginedProcess]:
        return [process for process in self.processes if process.lives]

    def launch(self, launch: Launch) -> ImaginedProcess:
        if self.unfit is not None:
            raise HostUnfit(self.unfit)
        self.launches.append(launch)
        self.on_launch(launch)
        program = self.programs.get(launch.argv[0], Program())
        if program.spawn_error is not None:
            raise SpawnFailed(program.spawn_error)
        process = ImaginedProcess(self, launch, program, next(self._pids))
        append(launch.log, b"")
        process.say(f"started {process.pid}\n")
        if program.unstarted:
            process.say(f"unstarted {launch.seal}\n")
            process.ended.set()
            return process
        self.processes.append(process)
        self._nursery.start_soon(self._live, process)
        return process

    async def _live(self, process: ImaginedProcess) -> None:
        program, launch = process.program, process.launch
        if not process.lives:
            return  # killed before it started
        for path, data in ((launch.log, program.output), (report_of(launch), program.report)):
            if data:
                append(path, data)
        for name, data in program.artifacts.items():
            path = Path(launch.environment["HEADWAY_ARTIFACTS"], name)
            path.write_bytes(data)
        for name in program.work:
            os.makedirs(launch.work_dir / name)
        if program.lasts_s is not None:
            await self.sleep(program.lasts_s)
            process.end(program.exit_code)

    def adopt(
        self, run_id: str, record: ExitRecord, digests: Collection[str] = ()
    ) -> ImaginedProcess | None:
        for process in self.living:
            if process.launch.run_id == run_id and record.pid in (None, process.pid):
                return process
        return None

    async def sweep(self, run_ids: frozenset[str], grace_s: float, hurry: trio.Event) -> Left:
        self.swept.append(run_ids)
        left = [
            process
            for process in self.processes
            if process.launch.run_id in run_ids and (process.lives or process.left_behind)
        ]
        for process in left:
            await process.kill()
        return Left(processes=len(left), killed=len(left))

    async def output_settled(self, log_file: Path) -> None:
        await trio.lowlevel.checkpoint()

    async def run(self) -> None:
        await trio.sleep_forever()

    def reboot(self) -> None:
        """End every process without a record, and change the boot id."""
        for process in self.living:
            process.ended.set()
        self.boot_id = "boot-2"


def append(path: Path, data: bytes) -> None:
    """Append as a program's descriptor would; a tenth of the cost of a Python file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def report_of(launch: Launch) -> Path:
    return Path(launch.environment["HEADWAY_REPORT"])
