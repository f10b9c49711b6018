"""Processes on Linux: start the shim or the program, find it again after a crash.

The shim (`shim.py`) leads a run in a session of its own. A type may run without it, with `adopt =
false`: then the server is the program's parent, and only this server can know how it ended.
"""

import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import trio

from actors.host import process_tree
from actors.host.cgroup import CgroupRoot
from actors.host.children import CATCHABLE, Children
from actors.host.launch import HostUnfit, Launch, SpawnFailed, executable, spawn_fault
from actors.host.linux_process import KILL_POLL_S, LinuxProcess, alive, end_gently, kill_all
from actors.host.log_writer import LogWriter, Output
from actors.host.process import Process
from actors.host.run_streams import ChildStreams, RunStreams, open_streams, streams_of_shim
from actors.host.shim import SHELL, ExitRecord, shim_argv
from headway.model.run import Left
from storage.intents import digest_of

SWEEP_PASSES = 3
DEFAULT_UMASK = 0o022


class LinuxHost:
    """Real processes. Requires pidfd_open(2), Linux 5.3; uses cgroup v2 where it is writable."""

    def __init__(
        self,
        cgroups: CgroupRoot | None,
        data_dir: Path | None = None,
        *,
        umask: int = DEFAULT_UMASK,
    ) -> None:
        """`data_dir` is what the log writers of successive servers share.

        `umask` is the one that programs start with; the server's own excludes other users.
        """
        self._umask = umask
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.cgroups = cgroups
        self.children = Children()
        self.log_writer = LogWriter(data_dir, self.children)
        self._home = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        process_tree.keep_reserved_descriptors()
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            # Descriptors that the server inherited must not reach programs.
            with suppress(OSError):
                os.set_inheritable(descriptor, descriptor <= 2)

    def launch(self, launch: Launch) -> Process:
        """Start the shim, or the program. Raises `SpawnFailed`, `HostUnfit`.

        The log writer receives the pipe first: if the server is killed at this moment, the program
        may end before there is another server.
        """
        program = executable(launch)
        try:
            child = open_streams(launch)
        except OSError as error:
            raise HostUnfit(f"the files of a run cannot be made: {error.strerror}") from error
        output = None
        try:
            output = self._output(launch.run_id, child.kept)
            return self._start(launch, program, child, output)
        except BaseException as error:
            if output is not None:
                self.log_writer.release(output)
            child.kept.close()
            if isinstance(error, OSError):
                raise HostUnfit(f"no log can be written: {error.strerror}") from error
            raise
        finally:
            child.close()

    def _start(
        self, launch: Launch, program: str, child: ChildStreams, output: Output | None
    ) -> LinuxProcess:
        # A program that cannot be watched must not run: reserve a pidfd first.
        place = self._reserve_pidfd()
        try:
            with self.children.lock:
                pid = self._spawn(launch, program, child.actions)
                self.children.leaders[pid] = launch.run_id
        finally:
            os.close(place)
        try:
            pidfd = process_tree.with_reserved_descriptor(lambda: os.pidfd_open(pid))
        except OSError as error:
            # Another process took the descriptor. The id stays valid until the child is reaped.
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del self.children.leaders[pid]
            raise SpawnFailed(f"cannot watch {launch.argv[0]}: {error.strerror}") from error
        digests = (digest_of(launch.seal),)
        return self._process(
            launch.run_id, pid, pidfd, child.kept, output, digests, shim=launch.shim, child=True
        )

    def _spawn(self, launch: Launch, program: str, actions: list[tuple[Any, ...]]) -> int:
        path, arguments = program, launch.argv
        if launch.shim:
            writer_file = self.log_writer.pid_file if launch.output == "pipe" else ""
            path, arguments = SHELL, shim_argv(writer_file, launch.work_dir, launch.argv)
        try:
            with self._inherited_state(None if launch.shim else launch.work_dir):
                return os.posix_spawn(
                    path,
                    arguments,
                    launch.environment,
                    file_actions=actions,
                    setsid=True,
                    setsigmask=[],
                    # Python ignores two signals, nohup a third; programs would inherit that.
                    setsigdef=CATCHABLE,
                )
        except OSError as error:
            raise spawn_fault(launch.argv[0], error, shim=launch.shim) from error

    @staticmethod
    def _reserve_pidfd() -> int:
        """Open a pidfd, which proves that the kernel has a free one."""
        try:
            return os.pidfd_open(os.getpid())
        except OSError as error:
            raise HostUnfit(f"no process can be watched: {error.strerror}") from error

    @contextmanager
    def _inherited_state(self, directory: Path | None) -> Iterator[None]:
        """Set the umask and working directory that the program inherits, for the duration of a
        spawn.

        Python's posix_spawn(3) has no parameter for either. No other task runs in between, and all
        threads use absolute paths and give a mode to the files that they make.
        """
        ours = os.umask(self._umask)
        try:
            if directory is not None:
                _enter(directory)
            yield
        finally:
            os.umask(ours)
            if directory is not None:
                os.fchdir(self._home)

    def adopt(
        self, run_id: str, record: ExitRecord, digests: Collection[str] = ()
    ) -> Process | None:
        """Find a living run: open its pidfd first, then compare, so that the id cannot be reused.

        Raises OSError where nothing can be opened: then it is unknown whether the run lives.
        """
        for pid in [record.pid] if record.pid is not None else _carriers(run_id):
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            seen = process_tree.look(pid)
            if seen is not None and seen.lives and process_tree.run_id_of(pid) == run_id:
                return self._adopted(run_id, seen, pidfd, digests)
            os.close(pidfd)
        return None

    def _adopted(
        self, run_id: str, seen: process_tree.ProcessState, pidfd: int, digests: Collection[str]
    ) -> LinuxProcess:
        kept = RunStreams()
        try:
            kept = streams_of_shim(seen.pid)
            output = self._output(run_id, kept, adopted=True)
        except OSError:
            os.close(pidfd)
            kept.close()
            raise
        child = seen.parent == os.getpid()
        return self._process(run_id, seen.pid, pidfd, kept, output, digests, shim=True, child=child)

    def _output(self, run_id: str, kept: RunStreams, *, adopted: bool = False) -> Output | None:
        if kept.pipe is None or kept.log is None:
            return None
        take = self.log_writer.take_over if adopted else self.log_writer.keep
        return take(run_id, kept.pipe, kept.log)

    def _process(
        self,
        run_id: str,
        pid: int,
        pidfd: int,
        streams: RunStreams,
        output: Output | None,
        digests: Collection[str],
        *,
        shim: bool,
        child: bool,
    ) -> LinuxProcess:
        return LinuxProcess(
            self.children,
            self.cgroups,
            self.log_writer,
            run_id,
            pid,
            pidfd,
            streams=streams,
            output=output,
            digests=digests,
            child=child,
            shim=shim,
        )

    async def output_settled(self, log_file: Path) -> None:
        """Return when the output of a run that ended between two servers is in its log."""
        await self.log_writer.settled(log_file)

    async def sweep(self, run_ids: frozenset[str], grace_s: float, hurry: trio.Event) -> Left:
        """End the processes that carry one of the ids, or are in their cgroups, until none is
        found.
        """
        cgroups = [self.cgroups.of_run(run_id) for run_id in run_ids] if self.cgroups else []

        def find() -> list[process_tree.ProcessState]:
            found = {seen.pid: seen for seen in process_tree.carriers(run_ids)}
            for cgroup in cgroups:
                found |= {seen.pid: seen for seen in alive(cgroup.members())}
            return list(found.values())

        left = await end_gently(find, grace_s, hurry)
        # During execve(2) a process has no environment.
        for _ in range(SWEEP_PASSES):
            await kill_all(find)
            await trio.sleep(KILL_POLL_S)
        for cgroup in cgroups:
            cgroup.remove()
        for pid in [pid for pid, run_id in self.children.leaders.items() if run_id in run_ids]:
            del self.children.leaders[pid]  # the server's child is now reaped as a stray
        return left

    async def run(self) -> None:
        """Reap dead orphans and supervise the log writer. Runs until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.children.reap)
            nursery.start_soon(self.log_writer.run)

    def close(self) -> None:
        """Detach from the log writer, which ends with its last pipe."""
        self.log_writer.close()


def _enter(directory: Path) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise HostUnfit(f"the files of a run are not there: {error.strerror}") from error


def _carriers(run_id: str) -> list[int]:
    """Processes that carry the run's id, the leader of their session first."""
    found = sorted(process_tree.carriers(frozenset({run_id})), key=lambda seen: seen.pid)
    return [seen.pid for seen in sorted(found, key=lambda seen: seen.session != seen.pid)]
