"""Programs as processes: start one through the shim, find it again, wait for it, end its tree.

The shim is a few lines of /bin/sh that lead each run in a session of its own. It says in the run's
exit file that it has started (with its process id and start time), runs the program, and says how
that ended. So the file tells what happened while no server was there to see it.

Invariant: a signal is sent only to a process whose start time, or whose run id in its environment,
has been compared after a pidfd was opened on it. When to start and end is decided in `executor.py`.
"""

import errno
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import trio

from actors.cgroup import Cgroup, CgroupRoot

SHIM_NAME = "headway-shim"
# $1 the exit file, $2 the run's cgroup.procs or nothing, $3 the working directory, then the argv.
# Signals are caught, not ignored, so that the program starts with the defaults. The shell's own
# words ("Killed") go to the exit file: they tell a death by signal from an exit status over 128.
SHIM = """\
exec 2>>"$1"
trap : TERM INT HUP QUIT USR1 USR2
[ -z "$2" ] || echo 0 >"$2"
read -r s </proc/$$/stat
s=${s##*) }
i=0
while [ $i -lt 19 ]; do s=${s#* } i=$((i+1)); done
cd "$3" || exit 1
shift 3
echo "started $$ ${s%% *}" >&2
(exec "$@" 2>&1)
echo "exit $?" >&2
"""
SHELL = "/bin/sh"

KILL_WAIT_S = 5.0
KILL_POLL_S = 0.005
SILENT_SIGNALS = (signal.SIGINT, signal.SIGPIPE)
"""Deaths of which no shell says a word; 128 + these is taken for the signal by convention."""


class SpawnFailed(Exception):
    """The program could not be started; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that a process needs. Paths are absolute; `stdin` None means empty."""

    run_id: str
    argv: list[str]
    environment: Mapping[str, str]
    work_dir: Path
    log: Path
    exit_file: Path
    stdin: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """What the exit file says. Only lines that end in a newline count."""

    pid: int | None = None
    start_ticks: int | None = None
    exit_code: int | None = None
    signal: int | None = None

    @property
    def started(self) -> bool:
        """Whether the shim came so far as to say so."""
        return self.pid is not None

    @property
    def ended(self) -> bool:
        """Whether the program's end is on record."""
        return self.exit_code is not None or self.signal is not None


class Process(Protocol):
    """A running program with everything that it started."""

    @property
    def pid(self) -> int: ...

    def age_s(self) -> float:
        """Seconds since it started."""
        ...

    async def wait(self) -> None:
        """Return when its leader has ended."""
        ...

    def terminate(self) -> None:
        """Send TERM to the whole tree."""
        ...

    async def kill(self) -> None:
        """Send KILL to the whole tree, and return when nothing of it is left."""
        ...

    def close(self) -> None:
        """Let go of what was held to watch it."""
        ...


class Host(Protocol):
    """The seam: production starts processes, a simulation imagines them."""

    boot_id: str

    def launch(self, launch: Launch) -> Process:
        """Start a program. Raises `SpawnFailed`."""
        ...

    def adopt(self, run_id: str, record: ExitRecord) -> Process | None:
        """The process that a former server started for this run, if it still lives."""
        ...

    async def sweep(self, run_ids: frozenset[str]) -> None:
        """End every process that carries one of these run ids, and return when they are gone."""
        ...


def parse_exit_file(text: str) -> ExitRecord:
    """Read the shim's lines; what it did not finish writing did not happen."""
    pid = start_ticks = None
    spoke = False
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        if match := re.fullmatch(r"started (\d+) (\d+)\n", line):
            pid, start_ticks = int(match[1]), int(match[2])
            spoke = False
        elif (match := re.fullmatch(r"exit (\d+)\n", line)) and pid is not None:
            code = int(match[1])
            if code > 128 and (spoke or code - 128 in SILENT_SIGNALS):
                return ExitRecord(pid=pid, start_ticks=start_ticks, signal=code - 128)
            return ExitRecord(pid=pid, start_ticks=start_ticks, exit_code=code)
        else:
            spoke = True
    return ExitRecord(pid=pid, start_ticks=start_ticks)


class LinuxHost:
    """Real processes. Needs pidfd_open(2), so Linux 5.3; uses cgroup v2 where it may write."""

    def __init__(self, cgroups: CgroupRoot | None) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._cgroups = cgroups

    def launch(self, launch: Launch) -> Process:
        """Spawn the shim. Raises `SpawnFailed`."""
        _check_executable(launch)
        cgroup = self._cgroups.create(launch.run_id) if self._cgroups else None
        arguments = [
            SHELL, "-c", SHIM, SHIM_NAME,
            str(launch.exit_file), str(cgroup.procs) if cgroup else "", str(launch.work_dir),
            *launch.argv,
        ]  # fmt: skip
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        stdin = os.devnull if launch.stdin is None else str(launch.stdin)
        try:
            pid = os.posix_spawn(
                SHELL,
                arguments,
                dict(launch.environment),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, str(launch.log), append, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=[],
                # Python ignores these two, and an ignored signal would be inherited.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        except OSError as error:
            if cgroup:
                cgroup.remove()
            hint = ": its arguments are too long" if error.errno == errno.E2BIG else ""
            raise SpawnFailed(f"cannot start {launch.argv[0]}: {error.strerror}{hint}") from error
        return LinuxProcess(pid, os.pidfd_open(pid), launch.run_id, cgroup, child=True)

    def adopt(self, run_id: str, record: ExitRecord) -> Process | None:
        """Open the pidfd first, then compare: so it cannot be another process by then."""
        candidates = [record.pid] if record.pid is not None else list(carriers(run_id))
        for pid in sorted(candidates):
            try:
                pidfd = os.pidfd_open(pid)
            except OSError:
                continue
            if _state_and_start(pid) == (True, record.start_ticks) or (
                record.start_ticks is None and _carries(pid, run_id)
            ):
                cgroup = self._cgroups.of_process(pid, run_id) if self._cgroups else None
                return LinuxProcess(pid, pidfd, run_id, cgroup, child=False)
            os.close(pidfd)
        return None

    async def sweep(self, run_ids: frozenset[str]) -> None:
        """KILL what carries one of the ids until a pass finds nothing more."""
        with trio.move_on_after(KILL_WAIT_S):
            while True:
                found = [pid for pid, run_id in all_carriers() if run_id in run_ids]
                if not found:
                    return
                for pid in found:
                    _signal_carrier(pid, run_ids, signal.SIGKILL)
                await trio.sleep(KILL_POLL_S)


class LinuxProcess:
    """A run's shim and all that descends from it."""

    def __init__(
        self, pid: int, pidfd: int, run_id: str, cgroup: Cgroup | None, *, child: bool
    ) -> None:
        self._pid = pid
        self._pidfd = pidfd
        self._run_id = run_id
        self._cgroup = cgroup
        self._child = child
        self._ended = False

    @property
    def pid(self) -> int:
        """The shim's process id; also the id of its session and process group."""
        return self._pid

    def age_s(self) -> float:
        """Seconds since the shim started; the start time counts from boot in clock ticks."""
        ticks = _state_and_start(self._pid)[1]
        if ticks is None:
            return 0.0
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))

    async def wait(self) -> None:
        """Return when the shim has ended. It is reaped later, so that its id stays taken."""
        await trio.lowlevel.wait_readable(self._pidfd)
        self._ended = True

    def terminate(self) -> None:
        """TERM to all: the cgroup's members, or the group and whoever left it."""
        if self._cgroup:
            for pid in self._cgroup.members():
                _signal_pid(pid, signal.SIGTERM)
        else:
            self._signal_group(signal.SIGTERM)
            for pid in carriers(self._run_id):
                if _process_group(pid) != self._pid:
                    _signal_carrier(pid, frozenset({self._run_id}), signal.SIGTERM)

    async def kill(self) -> None:
        """KILL to all, again and again until nothing is left (a fork may race one pass)."""
        with trio.move_on_after(KILL_WAIT_S):
            while True:
                if self._cgroup and not self._cgroup.populated():
                    break
                left = self._kill_once()
                if not left:
                    break
                await trio.sleep(KILL_POLL_S)

    def close(self) -> None:
        """Reap the shim if it is ours and has ended, close the pidfd, remove the cgroup."""
        if self._child:
            with suppress(ChildProcessError):
                os.waitpid(self._pid, os.WNOHANG)
        os.close(self._pidfd)
        if self._cgroup:
            self._cgroup.remove()

    def _kill_once(self) -> bool:
        if self._cgroup:
            self._cgroup.kill()
            return True
        self._signal_group(signal.SIGKILL)
        found = list(carriers(self._run_id))
        for pid in found:
            _signal_carrier(pid, frozenset({self._run_id}), signal.SIGKILL)
        return bool(found)

    def _signal_group(self, number: signal.Signals) -> None:
        # The id is still the group's while the shim lives, or is our child and not yet reaped.
        # Of a shim that was adopted and has ended, `carriers` finds what is left.
        if self._child or not self._ended:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, number)


def carriers(run_id: str) -> Iterator[int]:
    """Processes whose environment names this run."""
    return (pid for pid, found in all_carriers() if found == run_id)


def all_carriers() -> Iterator[tuple[int, str]]:
    """(pid, run id) of every living process that headway started, or that such a one started."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (run_id := _run_id_of(int(entry))):
            yield int(entry), run_id


def _run_id_of(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return None
    for entry in environment.split(b"\0"):
        if entry.startswith(b"HEADWAY_RUN_ID="):
            return entry[15:].decode(errors="replace")
    return None


def _carries(pid: int, run_id: str) -> bool:
    return _run_id_of(pid) == run_id


def _signal_carrier(pid: int, run_ids: frozenset[str], number: signal.Signals) -> None:
    with suppress(OSError):
        pidfd = os.pidfd_open(pid)
        try:
            if _run_id_of(pid) in run_ids:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)


def _signal_pid(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _state_and_start(pid: int) -> tuple[bool, int | None]:
    """(lives and is no zombie, start time in clock ticks since boot): proc_pid_stat(5)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return False, None
    return fields[0] not in (b"Z", b"X"), int(fields[19])


def _process_group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _check_executable(launch: Launch) -> None:
    """Say before the spawn what the shell could only say in the log."""
    name = launch.argv[0]
    if "/" in name:
        path = Path(launch.work_dir, name)
        if not path.exists():
            raise SpawnFailed(f"cannot start {name}: there is no such file")
        if path.is_dir() or not os.access(path, os.X_OK):
            raise SpawnFailed(f"cannot start {name}: it is not executable")
        return
    for directory in launch.environment.get("PATH", "").split(os.pathsep):
        path = Path(directory or ".", name)
        if path.is_file() and os.access(path, os.X_OK):
            return
    raise SpawnFailed(f"cannot start {name}: it is not on the PATH of the type")
