"""Lives of `headway serve` on one data directory: started, traced, killed, and looked at.

A life is forked by the launcher or, dearer, executed as a user does it. `strace` kills it at the
n-th call of a chosen system call, before that call does anything (strace(1), `--inject`).
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import trio

from actors.host import process_tree
from web.process.ready_line import ready_url

ROOT = Path(__file__).parents[2]
HEADWAY = Path(sys.executable).with_name("headway")
READY_TIMEOUT_S = 30.0
END_TIMEOUT_S = 30.0
LOOK_S = 0.003
REAP_PAUSE_S = 0.01


class Breach(Exception):
    """Something that must never be."""


@dataclass(frozen=True, slots=True)
class KillAt:
    """KILL whichever thread makes its `number`-th call of `call`: it and its whole process."""

    call: str
    number: int


def can_trace() -> bool:
    """Whether strace is here and may attach; it may not in many containers."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], stderr=subprocess.DEVNULL)
    return tried.returncode == 0


class Launcher:
    """The process that forks servers. A context manager."""

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.crash.launcher"]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), cwd=ROOT)
        self._channel = ours
        self._answers = ours.makefile("r")
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._channel.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        pid: int = self._process.pid
        return pid

    def start(self, **order: Any) -> int:
        """Fork a headway."""
        pid: int = self._ask({"start": order})["pid"]
        return pid

    def reap(self, pid: int) -> int:
        """Wait for the end of one that it has forked: its exit status, or minus a signal."""
        status: int = self._ask({"reap": pid})["status"]
        return status

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self._channel.sendall(json.dumps(order).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer


@dataclass(slots=True)
class Life:
    """One process of `headway serve`, until it is reaped."""

    pid: int
    pidfd: int
    log_from: int
    tracer: subprocess.Popen[bytes] | None = None
    executed: subprocess.Popen[bytes] | None = None
    url: str = ""
    struck: bool = False
    kill_at: KillAt | None = None
    trace_from: int = 0
    threads: set[int] = field(default_factory=set)

    @property
    def ended(self) -> bool:
        """Whether the process has ended (it may not be reaped yet)."""
        try:
            signal.pidfd_send_signal(self.pidfd, 0)
        except ProcessLookupError:
            return True
        return not _lives(self.pid)

    def tasks(self) -> set[int]:
        """The ids of its threads now."""
        with suppress(OSError):
            return set(map(int, os.listdir(f"/proc/{self.pid}/task")))
        return set()

    @property
    def was_hit(self) -> bool:
        """Whether it was strace that killed it."""
        return self.kill_at is not None and not self.struck

    async def wait(self) -> None:
        """Return when the process has ended."""
        # A duplicate, since several tasks wait and each descriptor has one reader.
        own = os.dup(self.pidfd)
        try:
            await trio.lowlevel.wait_readable(own)
        finally:
            os.close(own)

    def send(self, number: signal.Signals) -> None:
        """A signal, if it is still there."""
        if not self.ended:
            self.struck = self.struck or number == signal.SIGKILL
            signal.pidfd_send_signal(self.pidfd, number)


@dataclass(slots=True)
class Server:
    """A data directory, and whoever serves it."""

    launcher: Launcher
    directory: Path
    seams: dict[str, str] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)
    """Children of this process for which somebody here waits."""

    def __post_init__(self) -> None:
        self.own.add(self.launcher.pid)

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """What all lives said."""
        return self.directory / "stderr"

    @property
    def traced(self) -> Path:
        """What strace saw, of all lives."""
        return self.directory / "strace"

    def begin(self, kill_at: KillAt | None = None, *options: str, execute: bool = False) -> Life:
        """A new life; with `kill_at` a short one. It is not ready when this returns."""
        log_from = self.log.stat().st_size if self.log.exists() else 0
        arguments = ["serve", "--bind", "127.0.0.1:0", "--data-dir", str(self.data_dir)]
        arguments += ["--config", str(self.directory / "headway.toml"), *options]
        if execute:
            with self.log.open("ab") as output:
                process = subprocess.Popen(
                    [HEADWAY, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.directory,
                )
            self.own.add(process.pid)
            return Life(process.pid, os.pidfd_open(process.pid), log_from, executed=process)
        pid = self.fork(arguments, traced=kill_at is not None)
        life = Life(pid, os.pidfd_open(pid), log_from)
        if kill_at is not None:
            self._trace(life, kill_at)
        return life

    def fork(self, arguments: list[str], *, traced: bool = False) -> int:
        """Any verb of the command line, in a fork of the launcher."""
        return self.launcher.start(
            arguments=arguments,
            directory=str(self.directory),
            output=str(self.log),
            traced=traced,
            **self.seams,
        )

    async def trace(self, life: Life, kill_at: KillAt) -> None:
        """Let strace kill a life that goes on already, at a call that it makes from now on."""
        self._trace(life, kill_at)
        # A life that was killed before anybody looked is traced by nobody. (/proc wakes nobody.)
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
            said = self.said(life)
            if url := ready_url(said):
                life.url = url
                return True
            if trio.current_time() > deadline:
                raise Breach(f"not ready after {READY_TIMEOUT_S:g} s:\n{said[-3000:]}")
            await trio.sleep(LOOK_S)
        return False

    def said(self, life: Life) -> str:
        """The standard error of this life so far."""
        with self.log.open("rb") as file:
            file.seek(life.log_from)
            return file.read().decode(errors="replace")

    async def reap(self, life: Life) -> int:
        """Wait for its end, let the tracer go, and tell its exit status.

        Raises:
            Breach: it does not end, or an actor crashed in it.
        """
        with trio.move_on_after(END_TIMEOUT_S) as scope:
            await life.wait()
        if scope.cancelled_caught:
            raise Breach(f"it has not ended:\n{self.said(life)[-3000:]}")
        if life.tracer is not None:
            # What the server has started may live on, and strace with it. Asked to end it waits for
            # each of them to stop, and for a parent in vfork(2) without end; dead it lets go.
            # A child of its own, by which it tries at its start what the kernel can, ends with it.
            probes = process_tree.children(life.tracer.pid)
            life.tracer.kill()
            life.tracer.wait()
            for pid in probes:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        os.close(life.pidfd)
        executed = life.executed
        status = self.launcher.reap(life.pid) if executed is None else executed.wait()
        said = self.said(life)
        for accident in ("actor crashed", "request failed", "Traceback", "told in vain"):
            if accident in said:
                raise Breach(f"its log tells of an accident:\n{said[-3000:]}")
        return status

    def others_killed(self, life: Life) -> int:
        """How many processes that are no threads of the server strace has killed in this life."""
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
        before = self.log.stat().st_size
        pid = self.fork(["verify", "--data-dir", str(self.data_dir)])
        if self.launcher.reap(pid) != 0:
            raise Breach(self.log.read_bytes()[before:].decode(errors="replace"))


async def reap_strays(own: set[int]) -> None:
    """Reap what becomes ours when a server is killed, as init would, but for `own`."""
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


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2][:1] not in (b"Z", b"X")
