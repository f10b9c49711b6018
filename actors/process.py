"""Programs as processes: start one through the shim, find it again, wait for it, end its tree.

The shim (`shim.py`) leads a run in a session of its own. A type may do without it, by
`adopt = false`: then the server is the program's parent, and alone learns how it ended.

The server is a subreaper (prctl(2)): what a program leaves behind, also in a session of its own,
becomes the server's child. So after a run one look at one's own children tells whether all of it is
gone. A run that lasts is fenced by a cgroup as well, for the day on which another server ends it.

Invariant: a signal is sent only to a process that was looked at after a pidfd was opened on it: it
carries the run's id, or still has the start time that it was found with. When to start and end is
decided in `run_life.py`, how trees are read in `tree.py`.
"""

import ctypes
import errno
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

import trio

from actors import tree
from actors.cgroup import CgroupRoot
from actors.launch import Launch, SpawnFailed, executable
from actors.shim import SHELL, ExitRecord, shim_argv

KILL_WAIT_S = 5.0
KILL_POLL_S = 0.005
REAP_PAUSE_S = 1.0
FENCE_PASSES_MAX = 10
SWEEP_PASSES = 3
LOOKS_MAX = 100
"""How often a stray that shows no run id is looked at: half a second, in which any exec is over."""
LOOKED_AT_MAX = 1_000
PR_SET_CHILD_SUBREAPER = 36
SIG_DFL = None  # a null pointer, as in signal(2)
_signal = ctypes.CDLL(None).signal
_signal.argtypes, _signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
CATCHABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


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

    def exit_record(self) -> ExitRecord | None:
        """How a program without a shim ended. None: look into the exit file."""
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


class LinuxHost:
    """Real processes. Needs pidfd_open(2), so Linux 5.3; uses cgroup v2 where it may write."""

    def __init__(self, cgroups: CgroupRoot | None) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.cgroups = cgroups
        self.leaders: dict[int, str] = {}
        self._looks = Counter[tuple[int, int]]()
        # Held while a process is there that is not yet in `leaders`: another thread may look.
        self.lock = threading.Lock()
        self._home = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        tree.keep_spares()
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            # What our own launcher left open is not for programs either.
            with suppress(OSError):
                os.set_inheritable(descriptor, descriptor <= 2)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def launch(self, launch: Launch) -> Process:
        """Spawn the shim, or the program. Raises `SpawnFailed`."""
        program = executable(launch)
        with self.lock:
            pid = self._spawn(launch, program)
            self.leaders[pid] = launch.run_id
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            # Out of descriptors: what cannot be watched must not run. Unreaped, its id is its own.
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del self.leaders[pid]
            raise SpawnFailed(f"cannot watch {launch.argv[0]}: {error.strerror}") from error
        return LinuxProcess(self, launch.run_id, pid, pidfd, child=True, shim=launch.shim)

    def _spawn(self, launch: Launch, program: str) -> int:
        stdin = os.devnull if launch.stdin is None else launch.stdin
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        path, arguments = program, launch.argv
        if launch.shim:
            path, arguments = SHELL, shim_argv(launch.exit_file, launch.work_dir, launch.argv)
        try:
            with nullcontext() if launch.shim else self._in_directory(launch.work_dir):
                return os.posix_spawn(
                    path,
                    arguments,
                    launch.environment,
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, launch.log, append, 0o600),
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

    @contextmanager
    def _in_directory(self, directory: Path) -> Iterator[None]:
        """posix_spawn(3) has no working directory in Python: ours is the program's for a moment.

        Nobody sees it: there is no await inside, and all threads use absolute paths.
        """
        os.chdir(directory)
        try:
            yield
        finally:
            os.fchdir(self._home)

    def adopt(self, run_id: str, record: ExitRecord) -> Process | None:
        """Open the pidfd first, then compare: so it cannot be another process by then.

        Raises OSError where nothing can be opened: then nobody knows whether it lives.
        """
        if record.pid is not None:
            candidates = [record.pid]
        else:
            candidates = sorted(seen.pid for seen in tree.carriers(frozenset({run_id})))
        for pid in candidates:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
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

        # One that is in the middle of execve(2) shows no environment.
        for _ in range(SWEEP_PASSES):
            await _kill_all(find)
            await trio.sleep(KILL_POLL_S)
        for cgroup in cgroups:
            cgroup.remove()
        for pid in [pid for pid, run_id in self.leaders.items() if run_id in run_ids]:
            del self.leaders[pid]  # a child of ours is buried as a stray now

    async def reap(self) -> None:
        """Bury what programs left behind and what has died since. Runs until cancelled.

        Deaf in between: each signal wakes the loop, and short runs would bring thousands. Python's
        handler is put away behind its back, since a signal that comes while Python itself does so
        is printed as an error ("Signal 17 ignored due to race condition").
        """
        with trio.open_signal_receiver(signal.SIGCHLD) as deaths:
            pythons = _signal(signal.SIGCHLD, SIG_DFL)
            while True:
                _signal(signal.SIGCHLD, pythons)
                try:
                    self.strays()
                    await anext(deaths)
                finally:
                    _signal(signal.SIGCHLD, SIG_DFL)
                await trio.sleep(REAP_PAUSE_S)

    def strays(self) -> list[int]:
        """Living children of ours that lead no run: orphans of a program. The dead are buried."""
        living = []
        with self.lock:
            for pid in tree.own_children():
                if pid not in self.leaders:
                    with suppress(ChildProcessError):
                        if os.waitpid(pid, os.WNOHANG) == (0, 0):
                            living.append(pid)
        return living

    def may_show_itself(self, stray: tree.Seen) -> bool:
        """Whether a stray that shows no run id is worth another look.

        In the middle of execve(2) no process shows an environment; some have thrown theirs away.
        """
        if len(self._looks) > LOOKED_AT_MAX:
            self._looks.clear()
        self._looks[stray.pid, stray.start_ticks] += 1
        return self._looks[stray.pid, stray.start_ticks] <= LOOKS_MAX


class LinuxProcess:
    """A run's leader (its shim, or the program) and all that descends from it, or did."""

    def __init__(
        self,
        host: LinuxHost,
        run_id: str,
        pid: int,
        pidfd: int,
        *,
        child: bool,
        shim: bool = True,
    ) -> None:
        self._host = host
        self._run_id = run_id
        self._pid = pid
        self._pidfd = pidfd
        self._child = child
        self._shim = shim
        self._ended = False
        self._is_unsure = False
        self._cgroup = host.cgroups.of_process(pid, run_id) if host.cgroups and not child else None
        host.leaders[pid] = run_id

    @property
    def pid(self) -> int:
        """The leader's process id; also the id of its session and process group."""
        return self._pid

    def age_s(self) -> float:
        """Seconds since the leader started."""
        if (seen := tree.look(self._pid)) is None:
            return 0.0
        # The end of the tick in which it started: a time-out may come late by one, never early.
        started_s = (seen.start_ticks + 1) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)

    async def wait(self) -> None:
        """Return when the leader has ended. It is reaped later, so that its id stays taken."""
        await trio.lowlevel.wait_readable(self._pidfd)
        self._ended = True

    def exit_record(self) -> ExitRecord | None:
        """What waitid(2) says of a child without a shim, which it leaves unreaped."""
        if self._shim or not self._child:
            return None
        seen = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is None:
            return ExitRecord(pid=self._pid)
        if seen.si_code == os.CLD_EXITED:
            return ExitRecord(pid=self._pid, exit_code=seen.si_status)
        return ExitRecord(pid=self._pid, signal=seen.si_status)

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
        # Orphans of a former server's run went to init; one in an exec is hidden, as in `sweep`.
        looks = 0 if self._child else SWEEP_PASSES
        while self._is_unsure or looks > 0:
            await trio.sleep(KILL_POLL_S)
            await _kill_all(self._members)
            looks -= 1

    def close(self) -> None:
        """Reap the leader if it is ours and has ended, close the pidfd, remove the cgroup."""
        if self._child:
            with suppress(ChildProcessError):
                self._ended = os.waitpid(self._pid, os.WNOHANG) != (0, 0)
        # One that lives on (its executor crashed) is still a leader, and no stray.
        if self._ended or (seen := tree.look(self._pid)) is None or not seen.lives:
            self._host.leaders.pop(self._pid, None)
        os.close(self._pidfd)
        if self._cgroup:
            self._cgroup.remove()

    def _members(self) -> list[tree.Seen]:
        """The living processes of the run: the leader's descendants, its orphans, its cgroup's."""
        # What descended from a leader that has ended is an orphan by now.
        roots = self._orphans() if self._ended else [self._pid, *self._orphans()]
        found = {seen.pid: seen for seen in tree.with_descendants(roots)}
        if self._cgroup:
            found |= {seen.pid: seen for seen in _alive(self._cgroup.members())}
        elif not self._child:
            # Orphans of a former server's run went to init: only their environment tells.
            found |= {seen.pid: seen for seen in tree.carriers(frozenset({self._run_id}))}
        return list(found.values())

    def _orphans(self) -> list[int]:
        """Our strays that are this run's: by session, by environment, or since no other runs."""
        self._is_unsure = False
        alone = len(self._host.leaders) == 1
        return [pid for pid in self._host.strays() if alone or self._is_mine(pid)]

    def _is_mine(self, pid: int) -> bool:
        if (seen := tree.look(pid)) is None:
            return False
        if seen.session == self._pid:
            return True
        run_id = tree.run_id_of(pid)
        if run_id is None and self._host.may_show_itself(seen):
            self._is_unsure = True
        return run_id == self._run_id


def _alive(pids: Iterable[int]) -> list[tree.Seen]:
    """Those of them that live."""
    return [seen for pid in pids if (seen := tree.look(pid)) is not None and seen.lives]


async def _kill_all(find: Callable[[], list[tree.Seen]]) -> None:
    """KILL what `find` finds, until it finds nothing; gives up on what the kernel cannot end."""
    if not (found := find()):
        return
    with trio.move_on_after(KILL_WAIT_S):
        while found:
            for seen in found:
                tree.send(seen, signal.SIGKILL)
            await trio.sleep(KILL_POLL_S)
            found = find()
