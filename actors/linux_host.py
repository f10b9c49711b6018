"""Linux as the host of runs: spawns the shim or the program, finds it again after a crash.

The shim (`shim.py`) leads a run in a session of its own. A type may do without it, by
`adopt = false`: then the server is the program's parent, and alone learns how it ended.
"""

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import trio

from actors import tree
from actors.cgroup import CgroupRoot
from actors.children import Children
from actors.launch import Launch, SpawnFailed, executable
from actors.linux_process import KILL_POLL_S, LinuxProcess, alive, kill_all
from actors.process import Process
from actors.shim import SHELL, ExitRecord, shim_argv

SWEEP_PASSES = 3
CATCHABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


class LinuxHost:
    """Real processes. Needs pidfd_open(2), so Linux 5.3; uses cgroup v2 where it may write."""

    def __init__(self, cgroups: CgroupRoot | None) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.cgroups = cgroups
        self.children = Children()
        self._home = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        tree.keep_spares()
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            # What our own launcher left open is not for programs either.
            with suppress(OSError):
                os.set_inheritable(descriptor, descriptor <= 2)

    def launch(self, launch: Launch) -> Process:
        """Spawn the shim, or the program. Raises `SpawnFailed`."""
        program = executable(launch)
        with self.children.lock:
            pid = self._spawn(launch, program)
            self.children.leaders[pid] = launch.run_id
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            # Out of descriptors: what cannot be watched must not run. Unreaped, its id is its own.
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del self.children.leaders[pid]
            raise SpawnFailed(f"cannot watch {launch.argv[0]}: {error.strerror}") from error
        return self._process(launch.run_id, pid, pidfd, child=True, shim=launch.shim)

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
                return self._process(run_id, pid, pidfd, child=seen.parent == os.getpid())
            os.close(pidfd)
        return None

    def _process(
        self, run_id: str, pid: int, pidfd: int, *, child: bool, shim: bool = True
    ) -> LinuxProcess:
        return LinuxProcess(self.children, self.cgroups, run_id, pid, pidfd, child=child, shim=shim)

    async def sweep(self, run_ids: frozenset[str]) -> None:
        """KILL what carries one of the ids, or is in their cgroups, until a pass finds nothing."""
        cgroups = [self.cgroups.of_run(run_id) for run_id in run_ids] if self.cgroups else []

        def find() -> list[tree.Seen]:
            found = {seen.pid: seen for seen in tree.carriers(run_ids)}
            for cgroup in cgroups:
                found |= {seen.pid: seen for seen in alive(cgroup.members())}
            return list(found.values())

        # One that is in the middle of execve(2) shows no environment.
        for _ in range(SWEEP_PASSES):
            await kill_all(find)
            await trio.sleep(KILL_POLL_S)
        for cgroup in cgroups:
            cgroup.remove()
        for pid in [pid for pid, run_id in self.children.leaders.items() if run_id in run_ids]:
            del self.children.leaders[pid]  # a child of ours is buried as a stray now

    async def reap(self) -> None:
        """Reap dead orphans. Runs until cancelled."""
        await self.children.reap()
