"""Lives of `headway serve` on one data directory: started, traced, killed, and examined.

A life is forked by the launcher or, at a higher cost, executed as a user does it. `strace` kills it
at the n-th call of a chosen system call, before that call does anything (strace(1), `--inject`).
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from actors.host import process_tree
from tests.server_process import HEADWAY, Launcher, ServerProcess, serve_arguments

READY_TIMEOUT_S = 30.0
END_TIMEOUT_S = 30.0
LOOK_S = 0.003
REAP_PAUSE_S = 0.01


class Breach(Exception):
    """A broken guarantee."""


@dataclass(frozen=True, slots=True)
class KillAt:
    """KILL whichever thread makes its `number`-th call of `call`: it and its whole process."""

    call: str
    number: int


def can_trace() -> bool:
    """Whether strace is installed and may attach; it may not in many containers."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], stderr=subprocess.DEVNULL)
    return tried.returncode == 0


class Life(ServerProcess):
    """One process of `headway serve`, and the strace that may kill it."""

    def __init__(self, pid: int, log: Path, log_from: int, reap: Callable[[], int]) -> None:
        super().__init__(pid, log, log_from, reap)
        self.kill_at: KillAt | None = None
        self.tracer: subprocess.Popen[bytes] | None = None
        self.trace_from = 0
        self.threads: set[int] = set()
        self._was_killed = False

    def tasks(self) -> set[int]:
        """The ids of its threads now."""
        with suppress(OSError):
            return set(map(int, os.listdir(f"/proc/{self.pid}/task")))
        return set()

    @property
    def was_hit(self) -> bool:
        """Whether it was strace that killed it."""
        return self.kill_at is not None and not self._was_killed

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        self._was_killed = self._was_killed or (number == signal.SIGKILL and not self.ended)
        super().send(number)


@dataclass(slots=True)
class KilledServer:
    """A data directory, and the lives of a server on it."""

    launcher: Launcher
    directory: Path
    seams: dict[str, str] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)
    """Children of this process that are reaped by name, not as strays."""

    def __post_init__(self) -> None:
        self.own.add(self.launcher.pid)

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """The standard error of all lives."""
        return self.directory / "stderr"

    @property
    def traced(self) -> Path:
        """The output of strace, of all lives."""
        return self.directory / "strace"

    def begin(self, kill_at: KillAt | None = None, *options: str, execute: bool = False) -> Life:
        """Start a life; with `kill_at` a short one. It is not ready when this returns."""
        arguments = serve_arguments(self.data_dir, self.directory / "headway.toml", *options)
        if execute:
            life = Life.execute([HEADWAY, *arguments], self.log, directory=self.directory)
            self.own.add(life.pid)
            return life
        life = self.fork(arguments, traced=kill_at is not None)
        if kill_at is not None:
            self._trace(life, kill_at)
        return life

    def fork(self, arguments: list[str], *, traced: bool = False) -> Life:
        """Any command of headway, in a fork of the launcher."""
        return Life.fork(
            self.launcher,
            arguments,
            self.log,
            directory=self.directory,
            traced=traced,
            **self.seams,
        )

    async def trace(self, life: Life, kill_at: KillAt) -> None:
        """Attach strace to a running life, to kill it at a later call."""
        self._trace(life, kill_at)
        # A life that was killed before strace attached is never traced. (/proc has no events.)
        while not life.ended and not all(map(is_traced, life.tasks())):  # noqa: ASYNC110
            await trio.sleep(LOOK_S)

    def _trace(self, life: Life, kill_at: KillAt) -> None:
        life.kill_at = kill_at
        life.trace_from = self.traced.stat().st_size if self.traced.exists() else 0
        inject = f"inject={kill_at.call}:signal=KILL:when={kill_at.number}"
        command = ["strace", "-f", "-qq", "-A", "-o", str(self.traced), "-p", str(life.pid)]
        command += ["-e", f"trace={kill_at.call}", "-e", inject]
        life.tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.own.add(life.tracer.pid)

    async def ready(self, life: Life) -> bool:
        """Wait until it listens; False if it was killed before that.

        Raises:
            Breach: it ended by itself, or takes too long.
        """
        deadline = trio.current_time() + READY_TIMEOUT_S
        while not life.ended:
            life.threads |= life.tasks()
            if life.look_ready():
                return True
            if trio.current_time() > deadline:
                raise Breach(f"not ready after {READY_TIMEOUT_S:g} s:\n{life.stderr()[-3000:]}")
            await trio.sleep(LOOK_S)
        return False

    async def reap(self, life: Life) -> int:
        """Wait for its end, end the tracer, and return its exit status.

        Raises:
            Breach: it does not end, or an actor crashed in it.
        """
        with trio.move_on_after(END_TIMEOUT_S) as scope:
            await life.until_ended()
        if scope.cancelled_caught:
            raise Breach(f"it has not ended:\n{life.stderr()[-3000:]}")
        if life.tracer is not None:
            # Programs of the server may live on, and strace with them. After TERM strace waits for
            # each to stop, and for a parent in vfork(2) without end; after KILL it detaches.
            # A child with which it probes the kernel at its start is killed too.
            probes = process_tree.children(life.tracer.pid)
            life.tracer.kill()
            life.tracer.wait()
            for pid in probes:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        status = life.wait()
        if life.accidents():
            raise Breach(f"its log shows {life.accidents()}:\n{life.stderr()[-3000:]}")
        return status

    def others_killed(self, life: Life) -> int:
        """How many processes other than the server's threads strace has killed in this life."""
        if not self.traced.exists():  # the server was dead before strace was there
            return 0
        text = self.traced.read_bytes()[life.trace_from :].decode(errors="replace")
        # strace pads the process id to five characters.
        dead = {int(pid) for pid in re.findall(r"^(\d+) +\+\+\+ killed by SIGKILL", text, re.M)}
        return len(dead - life.threads - {life.pid})

    def verify(self) -> None:
        """`headway verify`, the command.

        Raises:
            Breach: an invariant is broken.
        """
        checking = self.fork(["verify", "--data-dir", str(self.data_dir)])
        if checking.wait() != 0:
            raise Breach(checking.stderr())


async def reap_strays(own: set[int]) -> None:
    """Reap processes that this one inherits from a killed server, as init would, except `own`."""
    while True:
        for pid in process_tree.children(os.getpid()):
            seen = process_tree.look(pid)
            if seen is not None and not seen.lives and pid not in own:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
        await trio.sleep(REAP_PAUSE_S)


def is_traced(task: int | str) -> bool:
    """Whether a tracer has attached to the thread (proc_pid_status(5)), or it has gone."""
    with suppress(OSError):
        return "\nTracerPid:\t0\n" not in Path(f"/proc/{task}/status").read_text()
    return True
