"""A run's processes on Linux: wait for the leader, end the whole tree.

A run that lasts is moved into a cgroup too, so that a later server can end all of it.

Invariant: a signal is sent only to a process that was examined after a pidfd was opened on it: it
carries the run's id, or has the start time that it was found with. `process_tree.py` reads trees.
"""

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

import trio

from actors.host import process_tree
from actors.host.cgroup import CgroupRoot
from actors.host.children import Children
from actors.host.log_writer import LogWriter, Output
from actors.host.run_streams import RunStreams, leads_to, save
from actors.host.shim import ExitRecord, read_exit_file
from headway.model.run import Left
from storage.runs import NOTHING_LEFT

KILL_WAIT_S = 5.0
KILL_POLL_S = 0.005
FENCE_PASSES_MAX = 10
SWEEP_PASSES = 3


class LinuxProcess:
    """A run's leader (its shim, or the program) and all of its descendants."""

    def __init__(
        self,
        children: Children,
        cgroups: CgroupRoot | None,
        log_writer: LogWriter,
        run_id: str,
        pid: int,
        pidfd: int,
        *,
        streams: RunStreams,
        output: Output | None,
        digests: Collection[str],
        child: bool,
        shim: bool,
    ) -> None:
        self._children = children
        self._cgroups = cgroups
        self._log_writer = log_writer
        self._streams = streams
        self._output = output
        self._digests = digests
        self._run_id = run_id
        self._pid = pid
        self._pidfd: int | None = pidfd
        self._child = child
        self._shim = shim
        self._ended = False
        self._is_unsure = False
        self._cgroup = cgroups.of_process(pid, run_id) if cgroups and not child else None
        self._is_fenced = self._cgroup is not None
        children.leaders[pid] = run_id

    @property
    def pid(self) -> int:
        """The leader's process id; also the id of its session and process group."""
        return self._pid

    def age_s(self) -> float:
        """Seconds since the leader started."""
        if (seen := process_tree.look(self._pid)) is None:
            return 0.0
        # The end of the tick in which it started: a timeout may be late by one tick, never early.
        started_s = (seen.start_ticks + 1) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)

    async def wait(self) -> None:
        """Return when the leader has ended. It is reaped later, so that its id is not reused."""
        assert self._pidfd is not None
        await trio.lowlevel.wait_readable(self._pidfd)
        self._ended = True

    def exit_record(self) -> ExitRecord | None:
        """How it ended, from its exit file, or from waitid(2) of a child, which stays unreaped."""
        record = ExitRecord(pid=None if self._shim else self._pid)
        if self._streams.exit_file is not None:
            record = read_exit_file(self._streams.exit_file, self._digests)
        if record.ended or record.unstarted or not self._child:
            return record
        assert self._pidfd is not None
        seen = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is None:
            return record
        if seen.si_code == os.CLD_EXITED:
            return ExitRecord(pid=self._pid, exit_code=seen.si_status)
        # A signal that ended a shim does not describe the end of its program.
        return record if self._shim else ExitRecord(pid=self._pid, signal=seen.si_status)

    async def drain_output(self) -> None:
        """Return when all of its output is in its log. No process of the run lives any more."""
        if self._output is not None:
            await self._log_writer.drained(self._output)

    def has_log(self, path: Path) -> bool:
        """Whether its log has its name still. A log that is its standard output is not held
        open.
        """
        return self._streams.log is None or leads_to(path, self._streams.log)

    def save_log(self, path: Path) -> None:
        """Write the log again where a program has removed it. Blocks.

        Raises:
            OSError: something else has its name now, or it cannot be written.
        """
        if self._streams.log is not None:
            save(self._streams.log, path)

    def fence(self) -> None:
        """Move the tree into a cgroup, until no process is found outside. Takes milliseconds.

        Not done for every run at its start: the kernel waits for all processors when a process
        changes its cgroup (10 to 16 ms measured), and nothing can fork in that time.
        """
        if self._is_fenced or self._cgroups is None:
            return
        self._cgroup = cgroup = self._cgroup or self._cgroups.create(self._run_id)
        if cgroup is None:
            return
        for _ in range(FENCE_PASSES_MAX):
            inside = set(cgroup.members())
            outside = [seen for seen in self._members() if seen.pid not in inside]
            if not outside:
                break
            for seen in outside:
                cgroup.enter(seen.pid)
        self._is_fenced = True

    def terminate(self) -> None:
        """Send TERM to every process of the run."""
        for seen in self._members():
            process_tree.send(seen, signal.SIGTERM)

    async def end_rest(self, grace_s: float, hurry: trio.Event) -> Left:
        """End what the program left behind: TERM, after the grace KILL. Returns what there was."""
        if self._child and not self._members() and not self._is_unsure:
            return NOTHING_LEFT
        left = await end_gently(self._members, grace_s, hurry)
        with trio.CancelScope(shield=True):
            await self.kill()
        return left

    async def kill(self) -> None:
        """Send KILL until nothing is left (a fork may race one pass)."""
        await kill_all(self._members)
        # Orphans of an earlier server's run went to init; one in an exec is hidden, as in `sweep`.
        looks = 0 if self._child else SWEEP_PASSES
        while self._is_unsure or looks > 0:
            await trio.sleep(KILL_POLL_S)
            await kill_all(self._members)
            looks -= 1

    def close(self) -> None:
        """Reap the leader if it is a child and has ended, close the pidfd, remove the cgroup.
        Once.
        """
        if self._pidfd is None:
            return
        if self._child:
            with suppress(ChildProcessError):
                self._ended = os.waitpid(self._pid, os.WNOHANG) != (0, 0)
        # One that lives on (its executor crashed) is still a leader, and no stray; so is one that
        # cannot be looked at, for want of descriptors.
        with suppress(OSError):
            if self._ended or (seen := process_tree.look(self._pid)) is None or not seen.lives:
                self._children.leaders.pop(self._pid, None)
        os.close(self._pidfd)
        self._pidfd = None
        if self._output is not None:
            self._log_writer.release(self._output)
        self._streams.close()
        if self._cgroup:
            self._cgroup.remove()

    def _members(self) -> list[process_tree.ProcessState]:
        """The living processes of the run: descendants of its leader, orphans, and its cgroup's."""
        # What descended from a leader that has ended is an orphan by now.
        roots = self._orphans() if self._ended else [self._pid, *self._orphans()]
        found = {seen.pid: seen for seen in process_tree.with_descendants(roots)}
        if self._cgroup:
            found |= {seen.pid: seen for seen in alive(self._cgroup.members())}
        elif not self._child:
            # Orphans of an earlier server's run went to init: only the run id shows them.
            found |= {seen.pid: seen for seen in process_tree.carriers(frozenset({self._run_id}))}
        return list(found.values())

    def _orphans(self) -> list[int]:
        """Strays that belong to this run: by session, by environment, or because no other runs."""
        self._is_unsure = False
        alone = len(self._children.leaders) == 1
        return [pid for pid in self._children.strays() if alone or self._is_mine(pid)]

    def _is_mine(self, pid: int) -> bool:
        if (seen := process_tree.look(pid)) is None:
            return False
        if seen.session == self._pid:
            return True
        run_id = process_tree.run_id_of(pid)
        if run_id is None and self._children.may_show_itself(seen):
            self._is_unsure = True
        return run_id == self._run_id


def alive(pids: Iterable[int]) -> list[process_tree.ProcessState]:
    """Those of the processes that live."""
    return [seen for pid in pids if (seen := process_tree.look(pid)) is not None and seen.lives]


async def end_gently(
    find: Callable[[], list[process_tree.ProcessState]], grace_s: float, hurry: trio.Event
) -> Left:
    """Send TERM to what `find` returns, and wait; `killed` counts what lives after the grace."""
    left = find()
    for seen in left:
        process_tree.send(seen, signal.SIGTERM)
    rest = left
    with trio.move_on_after(grace_s):
        while rest and not hurry.is_set():
            with trio.move_on_after(KILL_POLL_S):
                await hurry.wait()
            rest = find()
    return Left(processes=len(left), killed=len(rest))


async def kill_all(find: Callable[[], list[process_tree.ProcessState]]) -> None:
    """Send KILL to what `find` returns until that is nothing, or the kernel cannot end it."""
    if not (found := find()):
        return
    with trio.move_on_after(KILL_WAIT_S):
        while found:
            for seen in found:
                process_tree.send(seen, signal.SIGKILL)
            await trio.sleep(KILL_POLL_S)
            found = find()
