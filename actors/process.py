"""Programs as processes: start one through the shim, find it again, wait for it, end its tree.

The shim is a few lines of /bin/sh that lead each run in a session of its own. It says in the run's
exit file that it has started (with its process id), runs the program, and says how that ended. So
the file tells what happened while no server was there to see it.

The server is a subreaper (prctl(2)): what a program leaves behind, also in a session of its own,
becomes the server's child. So after a run one look at one's own children tells whether all of it is
gone. A run that lasts is fenced by a cgroup as well, for the day on which another server ends it.

Invariant: a signal is sent only to a process that was looked at after a pidfd was opened on it: it
carries the run's id, or still has the start time that it was found with. When to start and end is
decided in `executor.py`, how trees are read in `tree.py`.
"""

import ctypes
import errno
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import trio

from actors import tree
from actors.cgroup import CgroupRoot

SHIM_NAME = "headway-shim"
# $1 the exit file, $2 the working directory, then the argv.
# Signals are caught, not ignored, so that the program starts with the defaults. The shell's own
# words ("Killed") go to the exit file: they tell a death by signal from an exit status over 128.
# Only of SIGINT and SIGPIPE no shell says a word: these two are told as exit status 130 and 141.
# Where the disk is too full for the first line there is no run: it would be started again.
SHIM = """\
exec 2>>"$1"
trap : TERM INT HUP QUIT USR1 USR2
cd "$2" || exit 1
unset PWD OLDPWD
shift 2
echo "started $$" >&2 || exit 1
(exec "$@" 2>&1)
echo "exit $?" >&2
"""
SHELL = "/bin/sh"

KILL_WAIT_S = 5.0
KILL_POLL_S = 0.005
REAP_PAUSE_S = 1.0
FENCE_PASSES_MAX = 10
PR_SET_CHILD_SUBREAPER = 36
CATCHABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


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

    def fence(self) -> None:
        """Make sure that a later server can end the whole tree, too. Blocks for milliseconds."""
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

    async def reap(self) -> None:
        """Bury dead orphans. Runs until cancelled."""
        ...


def parse_exit_file(text: str) -> ExitRecord:
    """Read the shim's lines; what it did not finish writing did not happen."""
    pid = None
    spoke = False
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        if match := re.fullmatch(r"started (\d+)\n", line):
            pid = int(match[1])
            spoke = False
        elif (match := re.fullmatch(r"exit (\d+)\n", line)) and pid is not None:
            code = int(match[1])
            if code > 128 and spoke:
                return ExitRecord(pid=pid, signal=code - 128)
            return ExitRecord(pid=pid, exit_code=code)
        else:
            spoke = True
    return ExitRecord(pid=pid)


class LinuxHost:
    """Real processes. Needs pidfd_open(2), so Linux 5.3; uses cgroup v2 where it may write."""

    def __init__(self, cgroups: CgroupRoot | None) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.cgroups = cgroups
        self.leaders: dict[int, str] = {}
        # Held while a process is there that is not yet in `leaders`: another thread may look.
        self.lock = threading.Lock()
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            # What our own launcher left open is not for programs either.
            with suppress(OSError):
                os.set_inheritable(descriptor, descriptor <= 2)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def launch(self, launch: Launch) -> Process:
        """Spawn the shim. Raises `SpawnFailed`."""
        _check_executable(launch)
        arguments = [
            SHELL, "-c", SHIM, SHIM_NAME, str(launch.exit_file), str(launch.work_dir), *launch.argv,
        ]  # fmt: skip
        stdin = os.devnull if launch.stdin is None else str(launch.stdin)
        with self.lock:
            pid = self._spawn(launch, arguments, stdin)
            self.leaders[pid] = launch.run_id
        try:
            return LinuxProcess(self, launch.run_id, pid, os.pidfd_open(pid), child=True)
        except OSError as error:
            # Out of descriptors: what cannot be watched must not run. Unreaped, its id is its own.
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del self.leaders[pid]
            raise SpawnFailed(f"cannot watch {launch.argv[0]}: {error.strerror}") from error

    def _spawn(self, launch: Launch, arguments: list[str], stdin: str) -> int:
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            return os.posix_spawn(
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
                # Python ignores two, nohup a third, and an ignored signal would be inherited.
                setsigdef=CATCHABLE,
            )
        except OSError as error:
            hint = ": its arguments are too long" if error.errno == errno.E2BIG else ""
            raise SpawnFailed(f"cannot start {launch.argv[0]}: {error.strerror}{hint}") from error

    def adopt(self, run_id: str, record: ExitRecord) -> Process | None:
        """Open the pidfd first, then compare: so it cannot be another process by then."""
        if record.pid is not None:
            candidates = [record.pid]
        else:
            candidates = sorted(seen.pid for seen in tree.carriers(frozenset({run_id})))
        for pid in candidates:
            try:
                pidfd = os.pidfd_open(pid)
            except OSError:
                continue
            seen = tree.look(pid)
            if seen is not None and seen.lives and tree.run_id_of(pid) == run_id:
                return LinuxProcess(self, run_id, pid, pidfd, child=seen.parent == os.getpid())
            os.close(pidfd)
        return None

    async def sweep(self, run_ids: frozenset[str]) -> None:
        """KILL what carries one of the ids, or is in their cgroups, until a pass finds nothing."""
        cgroups = [self.cgroups.of_run(run_id) for run_id in run_ids] if self.cgroups else []

        def find() -> list[tree.Seen]:
            found = {seen.pid: seen for seen in tree.carriers(run_ids)}
            for cgroup in cgroups:
                found |= {seen.pid: seen for seen in _alive(cgroup.members())}
            return list(found.values())

        await _kill_all(find)
        for cgroup in cgroups:
            cgroup.remove()

    async def reap(self) -> None:
        """Bury what programs left behind and what has died since. Runs until cancelled."""
        with trio.open_signal_receiver(signal.SIGCHLD) as deaths:
            async for _ in deaths:
                self.strays()
                await trio.sleep(REAP_PAUSE_S)

    def strays(self) -> list[int]:
        """Living children of ours that lead no run: orphans of a program. The dead are buried."""
        living = []
        with self.lock:
            for pid in tree.children(os.getpid()):
                if pid not in self.leaders:
                    with suppress(ChildProcessError):
                        if os.waitpid(pid, os.WNOHANG) == (0, 0):
                            living.append(pid)
        return living


class LinuxProcess:
    """A run's shim and all that descends from it, or did."""

    def __init__(self, host: LinuxHost, run_id: str, pid: int, pidfd: int, *, child: bool) -> None:
        self._host = host
        self._run_id = run_id
        self._pid = pid
        self._pidfd = pidfd
        self._child = child
        self._cgroup = host.cgroups.of_process(pid, run_id) if host.cgroups and not child else None
        host.leaders[pid] = run_id

    @property
    def pid(self) -> int:
        """The shim's process id; also the id of its session and process group."""
        return self._pid

    def age_s(self) -> float:
        """Seconds since the shim started."""
        if (seen := tree.look(self._pid)) is None:
            return 0.0
        # The end of the tick in which it started: a time-out may come late by one, never early.
        started_s = (seen.start_ticks + 1) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)

    async def wait(self) -> None:
        """Return when the shim has ended. It is reaped later, so that its id stays taken."""
        await trio.lowlevel.wait_readable(self._pidfd)

    def fence(self) -> None:
        """Move the tree into a cgroup, until a look finds nobody outside. Takes milliseconds.

        Not done for every run at its start: the kernel waits for all processors when a process
        changes its cgroup (10 to 16 ms measured), and nothing can fork meanwhile.
        """
        if self._cgroup is not None or self._host.cgroups is None:
            return
        cgroup = self._host.cgroups.create(self._run_id)
        if cgroup is None:
            return
        self._cgroup = cgroup
        for _ in range(FENCE_PASSES_MAX):
            inside = set(cgroup.members())
            outside = [seen for seen in self._members() if seen.pid not in inside]
            if not outside:
                return
            for seen in outside:
                cgroup.enter(seen.pid)

    def terminate(self) -> None:
        """TERM to every process of the run."""
        for seen in self._members():
            tree.send(seen, signal.SIGTERM)

    async def kill(self) -> None:
        """KILL to all, again and again until nothing is left (a fork may race one pass)."""
        await _kill_all(self._members)

    def close(self) -> None:
        """Reap the shim if it is ours and has ended, close the pidfd, remove the cgroup."""
        if self._child:
            with suppress(ChildProcessError):
                os.waitpid(self._pid, os.WNOHANG)
        if (seen := tree.look(self._pid)) is None or not seen.lives:
            # One that lives on (its executor crashed) is still a leader, and no stray.
            self._host.leaders.pop(self._pid, None)
        os.close(self._pidfd)
        if self._cgroup:
            self._cgroup.remove()

    def _members(self) -> list[tree.Seen]:
        """The living processes of the run: the shim's descendants, its orphans, its cgroup's."""
        found = {seen.pid: seen for seen in tree.with_descendants([self._pid, *self._orphans()])}
        if self._cgroup:
            found |= {seen.pid: seen for seen in _alive(self._cgroup.members())}
        elif not self._child:
            # Orphans of a former server's run went to init: only their environment tells.
            found |= {seen.pid: seen for seen in tree.carriers(frozenset({self._run_id}))}
        return list(found.values())

    def _orphans(self) -> list[int]:
        """Our strays that are this run's: by session, by environment, or since no other runs."""
        alone = len(self._host.leaders) == 1
        return [
            pid
            for pid in self._host.strays()
            if alone
            or ((seen := tree.look(pid)) is not None and seen.session == self._pid)
            or tree.run_id_of(pid) == self._run_id
        ]


def _alive(pids: Iterable[int]) -> list[tree.Seen]:
    """Those of them that live."""
    return [seen for pid in pids if (seen := tree.look(pid)) is not None and seen.lives]


async def _kill_all(find: Callable[[], list[tree.Seen]]) -> None:
    """KILL what `find` finds, until it finds nothing; gives up on what the kernel cannot end."""
    with trio.move_on_after(KILL_WAIT_S):
        while found := find():
            for seen in found:
                tree.send(seen, signal.SIGKILL)
            await trio.sleep(KILL_POLL_S)


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
