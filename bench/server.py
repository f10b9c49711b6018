"""Servers that a bench starts: headway itself and the stock no-op server.

Each is ended by its process id, and never outlives its `with` block.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from actors.host.log_writer import PID_NAME
from bench.machine import ROOT
from bench.wire import Connection
from tests.server_process import NotReady, ServerProcess, StillRunning

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
LOOK_S = 0.001
BATCH_JOBS = 10_000

CONFIG = """\
[server]
shutdown_grace_s = 0
[scheduler]
concurrency = {concurrency}
max_queued = 2_000_000
[job_types.true]
command = ["/bin/true"]
params.n = {{ type = "integer", default = 0, arg = "--n" }}
[job_types.bare]
command = ["/bin/true"]
adopt = false
params.n = {{ type = "integer", default = 0, arg = "--n" }}
[job_types.filed]
command = ["/bin/true"]
output = "file"
params.n = {{ type = "integer", default = 0, arg = "--n" }}
[job_types.stamp]
command = ["/bin/date", "+%s%N"]
[job_types.filed_stamp]
command = ["/bin/date", "+%s%N"]
output = "file"
[job_types.bare_stamp]
command = ["/bin/date", "+%s%N"]
adopt = false
[job_types.sleep]
command = ["/bin/sleep", "600"]
kill_grace_s = 0
[job_types.loud]
command = ["/usr/bin/seq", "1000000"]
"""
"""`true`, `stamp` (the time of its first instructions), both without a shim too (`bare`,
`bare_stamp`) and with the log itself as their output (`filed`, `filed_stamp`), `sleep`, and `loud`
(a log of 7 MB)."""


class Program:
    """A server that can be started again and again on one log. A context manager."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._arguments = arguments
        self._log = log
        self._process: ServerProcess | None = None

    @property
    def is_headway(self) -> bool:
        """Whether it is a headway, and not a server that headway is compared with."""
        return "headway" in self._arguments

    @property
    def process(self) -> ServerProcess:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.process.url

    def start(self) -> float:
        """Start it: the seconds until its ready line.

        Raises:
            NotReady: it ended, or took too long.
        """
        begin = time.perf_counter()
        self._process = ServerProcess.execute(self._arguments, self._log, directory=ROOT)
        try:
            self._process.await_ready(READY_TIMEOUT_S, LOOK_S)
        except NotReady:
            self._process.kill()
            raise
        return time.perf_counter() - begin

    def stderr(self) -> str:
        """Its standard error so far."""
        return self.process.stderr()

    def connect(self) -> Connection:
        """A new connection to it."""
        return Connection(self.url)

    def stop(self) -> None:
        """TERM, then KILL if that is not enough."""
        if self._process is not None:
            try:
                self._process.stop(STOP_TIMEOUT_S)
            except StillRunning:
                self._process.kill()

    def kill(self) -> None:
        """KILL."""
        if self._process is not None:
            self._process.kill()

    def __enter__(self) -> "Program":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            end = "it had ended" if self.process.ended else "it was running"
            error.add_note(f"{self.url}: {end}; its log: {self.stderr()[-2000:]}")
        self.stop()


def headway(
    directory: Path,
    *,
    concurrency: int = 1,
    more: str = "",
    entry: Sequence[str] = ("headway",),
) -> Program:
    """A headway on `directory`, with the job types of `CONFIG` and `more`. Not yet started.

    `entry`: the module to run, with its own arguments.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "headway.toml"
    config.write_text(CONFIG.format(concurrency=concurrency) + more)
    arguments = [sys.executable, "-m", *entry, "serve", "--bind", "127.0.0.1:0"]
    arguments += ["--config", str(config), "--data-dir", str(directory / "data")]
    return Program(arguments, directory / "stderr")


def noop(directory: Path) -> Program:
    """The same stack's own no-op JSON route. Not yet started."""
    directory.mkdir(parents=True, exist_ok=True)
    return Program([sys.executable, "-m", "bench.noop"], directory / "stderr")


@contextmanager
def stopped_headway(directory: Path, *, concurrency: int = 1) -> Iterator[Program]:
    """A headway that runs nothing until its scheduler is started."""
    with headway(directory, concurrency=concurrency) as server:
        with server.connect() as connection:
            connection.json("POST", "/scheduler/stop", {})
        yield server


def fill(server: Program, count: int, job_type: str = "true") -> None:
    """Queue `count` Jobs, 10,000 in a batch."""
    with server.connect() as connection:
        for begin in range(0, count, BATCH_JOBS):
            jobs = [{"type": job_type}] * min(BATCH_JOBS, count - begin)
            connection.json("POST", "/jobs/batch", {"jobs": jobs}, status=201)


def status(connection: Connection) -> dict[str, Any]:
    """GET /scheduler/status."""
    found: dict[str, Any] = connection.json("GET", "/scheduler/status")
    return found


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it began."""

    cpu_ns: int
    voluntary_switches: int
    rss_bytes: int


def usage(pid: int) -> Usage:
    """Summed over its threads: proc_pid_schedstat and proc_pid_status(5)."""
    cpu_ns = switches = 0
    tasks = Path(f"/proc/{pid}/task")
    for task in tasks.iterdir():
        cpu_ns += int((task / "schedstat").read_text().split()[0])
        switches += int(_field((task / "status").read_text(), "voluntary_ctxt_switches"))
    return Usage(cpu_ns, switches, memory_bytes(pid, "VmRSS"))


def cpu_of_runs_s(server: Program, data_dir: Path) -> float:
    """CPU time that a server has used so far, with its ended programs and its log writer.

    To a clock tick, see proc_pid_stat(5).
    """
    ticks = sum(_stat(server.pid)[11:15])
    with suppress(FileNotFoundError):
        ticks += sum(_stat(int((data_dir / PID_NAME).read_text().split()[0]))[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[int]:
    """The numbers after the state, from the third field on: field 14, `utime`, is at 11."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return [0, *map(int, fields[1:])]


def memory_bytes(pid: int, field: str) -> int:
    """A size of proc_pid_status(5): `VmRSS` now, `VmHWM` at its peak."""
    return int(_field(Path(f"/proc/{pid}/status").read_text(), field).split()[0]) * 1024


def reset_peak(pid: int) -> None:
    """Reset `VmHWM` to what is resident now: proc_pid_clear_refs(5)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    raise KeyError(name)
