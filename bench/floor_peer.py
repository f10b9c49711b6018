"""The same rows and files on Trio: the cost of a run's guarantees, without any decision.

python -m bench.floor_peer DIRECTORY COUNT seconds in which two slots do COUNT × /bin/true

Everything that headway leaves of a run with `adopt = false` is here. Its rows (`floor_rows.py`):
the end of one run and the claim of the next in one commit, on disk before the next program starts,
on a writer's thread as in production. Its files: a directory from the same pool, and its log. Its
process: in a session and a directory of its own, with its environment, awaited by Trio on a pidfd;
then a look at its leftovers, processes and files.

What makes it a server is left out: HTTP, actors and mailboxes, models and JSON, every SELECT (the
queue and the last event's number are known), savepoints and refusals, the choice of the next Job,
limits, timeouts, progress, readers of events, the log, supervision. A server with these guarantees
on this stack does all of this and more, so none is faster.
"""

import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import trio

from actors.clock import SystemClock
from actors.host import interpreter, process_tree
from actors.host.children import CATCHABLE
from actors.host.file_tree import PRIVATE
from actors.identity import Ids
from actors.run.directory_pool import DirectoryPool
from actors.run.trash import Trash
from actors.runner import ThreadRunner
from bench.floor_rows import Rows, Run
from bench.peer import answer

SLOTS = 2
PROGRAM = "/bin/true"


def floor_drain(directory: Path, count: int) -> float:
    """Seconds, measured in a process of its own."""
    return float(answer([sys.executable, "-m", "bench.floor_peer", str(directory), str(count)]))


class Floor:
    """A full queue, and the slots that empty it."""

    def __init__(self, directory: Path, count: int) -> None:
        self._runs = directory / "runs"
        self._runs.mkdir(parents=True, mode=PRIVATE)
        self._directories = DirectoryPool(self._runs / ".spare", Trash(self._runs / ".trash"))
        self._home = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        clock = SystemClock()
        self._now, self._ids = clock.now, Ids(clock, os.urandom)
        self._waiting = deque(self._ids("job") for _ in range(count))
        self._turns: deque[tuple[Run | None, Run | None]] = deque()
        self.rows = Rows(directory, self._waiting, self._now(), SLOTS)

    def drain(self) -> float:
        """Seconds from the first claim to the last recorded end."""
        count = len(self._waiting)
        interpreter.switch_threads_often()
        interpreter.keep_what_is_loaded()
        elapsed = trio.run(self._drain)
        if self.rows.succeeded != count:
            raise RuntimeError(f"{count} runs, and {self.rows.succeeded} recorded as succeeded")
        return elapsed

    async def _drain(self) -> float:
        begin = time.perf_counter()
        with ThreadRunner("writer") as self._writer:
            async with trio.open_nursery() as nursery:
                for _ in range(SLOTS):
                    nursery.start_soon(self._work)
        return time.perf_counter() - begin

    async def _work(self) -> None:
        """One slot: each turn is the end of its last run and the claim of its next."""
        last: Run | None = None
        while last or self._waiting:
            claim = Run(self._ids("run"), self._waiting.popleft()) if self._waiting else None
            self._turns.append((last, claim))
            await self._writer.run(self._write)
            if claim:
                await self._run(claim)
            last = claim

    def _write(self) -> None:
        """Write every turn that is due: group commit. Another slot's call may have written this
        one.
        """
        if turns := [self._turns.popleft() for _ in range(len(self._turns))]:
            ended = [run for run, _ in turns if run]
            self.rows.write(ended, [run for _, run in turns if run], self._now())

    async def _run(self, run: Run) -> None:
        root = self._runs / run.run_id
        work, artifacts = root / "work", root / "artifacts"
        os.mkdir(root, PRIVATE)
        self._directories.make(work)
        self._directories.make(artifacts)
        run.pid = self._spawn(run, str(root))
        pidfd = os.pidfd_open(run.pid)
        await trio.lowlevel.wait_readable(pidfd)
        self._look(run, root)
        os.close(pidfd)
        self._directories.take_back(artifacts)
        self._directories.take_back(work)

    def _look(self, run: Run, root: Path) -> None:
        """Record how it ended, and what it left."""
        left = process_tree.own_children()
        _, status = os.waitpid(run.pid, 0)
        if status or len(left) > SLOTS or os.path.exists(root / "report"):
            raise RuntimeError(f"{PROGRAM} ended with {status} and left {left}")
        run.log_bytes = os.lstat(root / "log").st_size

    def _spawn(self, run: Run, root: str) -> int:
        environment = {
            "PATH": os.defpath,
            "HOME": "/",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HEADWAY_RUN_ID": run.run_id,
            "HEADWAY_JOB_ID": run.job_id,
            "HEADWAY_ARTIFACTS": f"{root}/artifacts",
            "HEADWAY_REPORT": f"{root}/report",
        }
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files: list[Any] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, f"{root}/log", append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        os.chdir(f"{root}/work")
        try:
            return os.posix_spawn(
                PROGRAM,
                [PROGRAM, "--n=0"],
                environment,
                file_actions=files,
                setsid=True,
                setsigmask=[],
                setsigdef=CATCHABLE,
            )
        finally:
            os.fchdir(self._home)


def main() -> None:
    """Run the process."""
    directory, count = sys.argv[1:]
    print(Floor(Path(directory), int(count)).drain())


if __name__ == "__main__":
    main()
