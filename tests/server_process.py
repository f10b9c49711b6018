"""One server process, from its start until it is reaped.

The contract tests, the crash campaign, the browser tests, the fuzzer and the benchmarks all start
their servers here. A server is executed as a user does it, or, cheaper, forked by a `Launcher`,
which has imported headway already.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import trio

from actors.host import process_tree
from storage.database import DATABASE_NAME, open_reader
from storage.verify.invariants import verify
from web.process.ready_line import ready_url

ROOT = Path(__file__).parents[1]
HEADWAY = Path(sys.executable).with_name("headway")
READY_TIMEOUT_S = 60.0
END_TIMEOUT_S = 30.0
LOOK_S = 0.003
ANY_PORT = "127.0.0.1:0"
BUG_EVENTS = ("actor crashed", "request failed", "message refused")
ACCIDENTS = (*BUG_EVENTS, "Traceback")
"""What the log of a sound server never contains."""


class NotReady(Exception):
    """The server ended, or was not ready in time. The message ends with what it wrote."""


class StillRunning(Exception):
    """The server did not end in time. The message ends with what it wrote."""


def serve_arguments(data_dir: Path, config: Path, *options: str, bind: str = ANY_PORT) -> list[str]:
    """The arguments of `headway serve`; a `--bind` among `options` replaces `bind`."""
    arguments = ["serve", "--data-dir", str(data_dir), "--config", str(config), *options]
    return arguments if "--bind" in options else [*arguments, "--bind", bind]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without the settings of a headway, and with `variables`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HEADWAY_")}
    return inherited | variables


def broken_invariants(data_dir: Path) -> list[str]:
    """What `headway verify` reports about a database."""
    connection = open_reader(data_dir / DATABASE_NAME)
    try:
        return [f"{found.name}: {b}" for found in verify(connection) for b in found.breaches]
    finally:
        connection.close()


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    seen = process_tree.look(pid)
    return seen is not None and seen.lives


class ServerProcess:
    """A process that prints a ready line: a headway, or a server that it is compared with."""

    def __init__(self, pid: int, log: Path, log_from: int, reap: Callable[[], int]) -> None:
        """`log` holds its standard error from `log_from` on; `reap` waits for its exit status."""
        self.pid = pid
        self.log = log
        self.log_from = log_from
        self.url = ""
        self.status: int | None = None
        self._pidfd = os.pidfd_open(pid)
        self._reap = reap

    # ---- start -------------------------------------------------------------------------------

    @classmethod
    def execute(
        cls,
        command: Sequence[str | Path],
        log: Path,
        *,
        directory: Path,
        environ: Mapping[str, str] | None = None,
        stdout: Path | None = None,
    ) -> Self:
        """Execute a command in `directory`; both outputs are appended to `log`, or to `stdout`."""
        log_from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as error, (stdout or log).open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=error,
                cwd=directory,
                env=environ,
            )
        return cls(process.pid, log, log_from, process.wait)

    @classmethod
    def fork(
        cls,
        launcher: "Launcher",
        arguments: Sequence[str],
        log: Path,
        *,
        directory: Path,
        **order: Any,
    ) -> Self:
        """Let a launcher fork a headway. `order`: further fields of the order to the launcher."""
        log_from = log.stat().st_size if log.exists() else 0
        pid = launcher.start(
            arguments=list(arguments), directory=str(directory), output=str(log), **order
        )
        return cls(pid, log, log_from, lambda: launcher.reap(pid))

    def look_ready(self) -> bool:
        """Whether it has printed its ready line, newline included; `url` is set then."""
        self.url = self.url or ready_url(self.stderr()) or ""
        return bool(self.url)

    def await_ready(self, timeout_s: float = READY_TIMEOUT_S, look_s: float = LOOK_S) -> Self:
        """Return when it listens.

        Raises:
            NotReady: it ended, or takes longer. It may still be running.
        """
        deadline = time.monotonic() + timeout_s
        while not self.look_ready():
            if self.ended or time.monotonic() > deadline:
                raise NotReady(self._with_stderr("the server is not ready"))
            time.sleep(look_s)
        return self

    # ---- ask ---------------------------------------------------------------------------------

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client of it. Certificates are not loaded: that takes longer than most tests."""
        return httpx.Client(base_url=self.url, verify=False, **options)

    def stderr(self) -> str:
        """What it has written to its standard error so far."""
        with self.log.open("rb") as file:
            file.seek(self.log_from)
            return file.read().decode(errors="replace")

    def accidents(self) -> list[str]:
        """The signs of a bug in its log."""
        text = self.stderr()
        return [accident for accident in ACCIDENTS if accident in text]

    # ---- end ---------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the process has ended; it may not be reaped yet."""
        return self.status is not None or self._poll(0.0)

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if not self.ended:
            signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Wait for its end and reap it: its exit status, or minus a signal.

        Raises:
            StillRunning: it takes longer.
        """
        if self.status is None:
            if not self._poll(timeout_s):
                raise StillRunning(self._with_stderr(f"not ended after {timeout_s:g} s"))
            self.status = self._reap()
            os.close(self._pidfd)
        return self.status

    async def until_ended(self) -> None:
        """Return when it has ended. Any number of tasks may wait."""
        own = os.dup(self._pidfd)  # each descriptor has one waiter
        try:
            await trio.lowlevel.wait_readable(own)
        finally:
            os.close(own)

    def stop(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Send TERM and wait: the exit status."""
        self.send(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self) -> int:
        """Send KILL and wait: the exit status."""
        self.send(signal.SIGKILL)
        return self.wait()

    def _poll(self, timeout_s: float) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def _with_stderr(self, text: str) -> str:
        return f"{text}:\n{self.stderr()[-3000:]}"


class Launcher:
    """The process that forks headways, see `tests/crash/launcher.py`. A context manager."""

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.crash.launcher"]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), cwd=ROOT)
        self._channel = ours
        self._responses = ours.makefile("r")
        return self

    def __exit__(self, *_: object) -> None:
        self._responses.close()
        self._channel.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        pid: int = self._process.pid
        return pid

    def start(self, **order: Any) -> int:
        """Fork a headway, and return its process id."""
        pid: int = self._ask({"start": order})["pid"]
        return pid

    def reap(self, pid: int) -> int:
        """Wait for the end of a headway that it forked: its exit status, or minus a signal."""
        status: int = self._ask({"reap": pid})["status"]
        return status

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self._channel.sendall(json.dumps(order).encode() + b"\n")
        response: dict[str, Any] = json.loads(self._responses.readline())
        return response
