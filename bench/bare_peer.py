"""A bare loop: the cost of a run in Python alone, without server, queue or order.

python -m bench.bare_peer FILE COUNT shim|program seconds in which 2 threads do COUNT runs

Each run is one transaction on disk (the end of the last run, the intent of the next), one spawn of
`/bin/true` with its output in a file, and one wait. It is a bound: no job server written with this
interpreter and these libraries can be faster on the same machine.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import apsw

from actors.host.shim import SEAL_FD, SHELL, shim_argv
from bench.peer import answer

SLOTS = 2
PROGRAM = ["/bin/true"]


def bare_drain(file: Path, count: int, *, shim: bool) -> float:
    """Seconds, measured in a process of its own."""
    how = "shim" if shim else "program"
    command = [sys.executable, "-m", "bench.bare_peer", str(file), str(count), how]
    return float(answer(command))


class Loop:
    """One database, and a directory in which each run finds a log file and an exit file."""

    def __init__(self, file: Path, *, shim: bool) -> None:
        self._shim = shim
        self._files = file.with_suffix(".d")
        self._files.mkdir(parents=True)
        self._lock = threading.Lock()
        self._database = apsw.Connection(str(file))
        self._database.pragma("journal_mode", "wal")
        self._database.pragma("synchronous", "full")
        self._database.execute(
            "CREATE TABLE runs (run TEXT PRIMARY KEY, status TEXT, exit INTEGER)"
        )

    def drain(self, count: int) -> float:
        """Seconds."""
        slots = [
            threading.Thread(target=self._work, args=(range(slot, count, SLOTS),))
            for slot in range(SLOTS)
        ]
        begin = time.perf_counter()
        for thread in slots:
            thread.start()
        for thread in slots:
            thread.join()
        elapsed = time.perf_counter() - begin
        found = self._database.execute("SELECT count(*) FROM runs WHERE exit = 0").get
        if found != count:
            raise RuntimeError(f"{count} runs, and {found} recorded as succeeded")
        return elapsed

    def _work(self, numbers: Sequence[int]) -> None:
        last: tuple[int, str] | None = None
        for number in numbers:
            run = f"run-{number:032}"
            self._record(last, run)
            last = self._run(run), run
        self._record(last, None)

    def _record(self, last: tuple[int, str] | None, run: str | None) -> None:
        with self._lock, self._database:
            if last is not None:
                self._database.execute(
                    "UPDATE runs SET status = 'COMPLETED', exit = ? WHERE run = ?", last
                )
            if run is not None:
                self._database.execute("INSERT INTO runs VALUES (?, 'RUNNING', NULL)", (run,))

    def _run(self, run: str) -> int:
        log, exit_file = self._files / f"{run}.log", self._files / f"{run}.exit"
        errors = exit_file if self._shim else log
        arguments = shim_argv("", self._files, PROGRAM) if self._shim else PROGRAM
        pid = os.posix_spawn(
            SHELL if self._shim else PROGRAM[0],
            arguments,
            {"PATH": os.defpath, "HEADWAY_RUN_ID": run},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_OPEN, 2, str(errors), os.O_WRONLY | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_DUP2, 0, SEAL_FD),
            ],
            setsid=True,
        )
        _, status = os.waitpid(pid, 0)
        if self._shim:
            status = int(exit_file.read_text().split()[-1])
        return status


def main() -> None:
    """Run the process."""
    file, count, how = sys.argv[1:]
    print(Loop(Path(file), shim=how == "shim").drain(int(count)))


if __name__ == "__main__":
    main()
