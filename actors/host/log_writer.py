"""The output of programs: a pipe for each, and one process that writes all logs.

A program writes to a pipe, so a shell's `> /dev/stderr` opens the pipe again and truncates nothing.
The log writer (`log_writer_process.py`) has the read end and moves every byte into the log. A run's
shim has a read end as well: while no writer lives the program waits, and loses nothing.

Invariant: a pipe has one reader at a time. A writer without a server continues with its pipes; the
next server gives its own writer only those that no living writer has.
"""

import fcntl
import os
import select
import socket
import struct
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
import trio

from actors.host import log_writer_process, process_tree
from actors.host.children import CATCHABLE, Children

VARIABLE = "HEADWAY_LOG_WRITER"
PID_NAME = "headway.writer"
LOOK_S = 0.02
"""How often a pipe is examined that another server's writer reads, or another process holds
open.
"""
RESTART_PAUSE_S = 0.5
CLOSE_S = 1.0
"""How long the end of a server waits for a writer that has nothing to do."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Output:
    """The pipe of one run. Holds both descriptors, so that another writer can continue with
    them.
    """

    run_id: str
    pipe: int
    log: int
    former_writer: int | None = None
    """A pidfd of the living writer of an earlier server that reads the pipe."""
    complete: trio.Event = field(default_factory=trio.Event)

    def unread_bytes(self) -> int:
        """Bytes in the pipe that are not in the log yet (ioctl_pipe(2), FIONREAD)."""
        raw = fcntl.ioctl(self.pipe, termios.FIONREAD, b"\0" * 4)
        return int(struct.unpack("i", raw)[0])


class LogWriter:
    """Passes pipes to the writer process; starts it for the first pipe, and again when it has
    ended.

    The writers of earlier servers are found by `data_dir`; a shim finds the living writer by
    `pid_file` in it.
    """

    def __init__(self, data_dir: Path | None, children: Children) -> None:
        self.pid_file = "" if data_dir is None else str(data_dir / PID_NAME)
        self._mark = str(data_dir)
        self._children = children
        self._outputs: dict[str, Output] = {}
        self._unsent: list[Output] = []
        self._begun = trio.Event()
        self._more = trio.Event()
        self._found = trio.Event()
        self._server: socket.socket | None = None
        self._pid: int | None = None
        self._former: dict[int, int] | None = None

    async def run(self) -> None:
        """Receive the names of complete logs, and replace writers that ended. Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._replace_own)
            await self._found.wait()
            for pidfd in list((self._former or {}).values()):
                nursery.start_soon(self._replace_former, pidfd)

    async def _replace_own(self) -> None:
        while True:
            await self._begun.wait()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_unsent)
                await self._receive()
                nursery.cancel_scope.cancel()
            log.warning("log writer ended", pid=self._pid, outputs=len(self._outputs))
            self._forget_process()
            if self._outputs:
                await self._begin_again()
                self._unsent = []
                for output in self._outputs.values():
                    if output.former_writer is None and not output.complete.is_set():
                        self._give(output)

    async def _replace_former(self, pidfd: int) -> None:
        """Take over the pipes of an earlier server's writer when it has ended."""
        await trio.lowlevel.wait_readable(pidfd)
        await self._begin_again()
        for output in self._outputs.values():
            if output.former_writer == pidfd:
                output.former_writer = None
                self._give(output)

    def keep(self, run_id: str, pipe: int, log_file: int) -> Output:
        """Have the data of a pipe written to a log. The caller keeps both descriptors.

        Raises:
            OSError: no writer can be started.
        """
        if self._server is None:
            self._begin()
        output = self._outputs[run_id] = Output(run_id, pipe, log_file)
        self._give(output)
        return output

    def take_over(self, run_id: str, pipe: int, log_file: int) -> Output:
        """`keep` for the pipe of an adopted run, which a living writer may read already."""
        inode = os.fstat(pipe).st_ino
        if self._pid is not None and inode in _inodes_of(self._pid):
            output = self._outputs[run_id] = Output(run_id, pipe, log_file)
            return output
        for pid, pidfd in self._former_writers().items():
            if inode in _inodes_of(pid):
                output = Output(run_id, pipe, log_file, former_writer=pidfd)
                self._outputs[run_id] = output
                return output
        return self.keep(run_id, pipe, log_file)

    async def drained(self, output: Output) -> None:
        """Return when the log has all output of the run, whose processes have ended."""
        while not output.complete.is_set():
            with trio.move_on_after(LOOK_S):
                await output.complete.wait()
                return
            if output.unread_bytes() == 0:
                # Another process holds the pipe open, or the writer is an earlier server's.
                self._drop(output)
                return

    async def settled(self, log_path: Path) -> None:
        """Return when no writer has the log open; its run ended while there was no server."""
        try:
            inode = os.stat(log_path, follow_symlinks=False).st_ino
        except OSError:
            return
        own = [] if self._pid is None else [self._pid]
        # Another process closes it, which brings no event.
        while any(inode in _inodes_of(pid) for pid in [*own, *self._former_writers()]):  # noqa: ASYNC110
            await trio.sleep(LOOK_S)

    def release(self, output: Output) -> None:
        """Forget a pipe whose descriptors will be closed. A writer that has it continues."""
        self._outputs.pop(output.run_id, None)
        self._unsent = [one for one in self._unsent if one is not output]

    def close(self) -> None:
        """Detach from the writer, which ends with its last pipe. Blocks."""
        pidfd = None
        if self._pid is not None and not self._outputs:
            with suppress(OSError):
                pidfd = os.pidfd_open(self._pid)
        self._outputs.clear()
        self._forget_process()
        if pidfd is not None:
            _has_ended(pidfd, CLOSE_S)
            os.close(pidfd)
        for pidfd in (self._former or {}).values():
            os.close(pidfd)
        self._former = None

    # ---- the process -------------------------------------------------------------------------

    def _begin(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._spawn(theirs)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._server = ours
        self._begun.set()

    def _spawn(self, stdin: socket.socket) -> None:
        with self._children.lock:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", log_writer_process.__file__],
                {
                    VARIABLE: self._mark,
                    log_writer_process.PID_FILE: self.pid_file,
                    "PATH": os.defpath,
                },
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, stdin.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=CATCHABLE,
            )
            self._children.own.add(self._pid)
        if self.pid_file:
            line = b"%d %s\n" % (self._pid, log_writer_process.STARTING)
            write_private(Path(self.pid_file), line)

    async def _begin_again(self) -> None:
        """Start a writer again; the pipes hold the output until then."""
        while self._server is None:
            try:
                self._begin()
            except OSError as error:
                log.warning("log writer not started", why=str(error))
                await trio.sleep(RESTART_PAUSE_S)

    def _forget_process(self) -> None:
        self._begun = trio.Event()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._pid is not None:
            self._children.own.discard(self._pid)  # from now on it is reaped as a stray
            self._pid = None

    def _former_writers(self) -> dict[int, int]:
        """Living writers of earlier servers, with a pidfd each."""
        if self._former is None:
            self._former = {}
            for seen in process_tree.carriers(frozenset({self._mark}), VARIABLE.encode() + b"="):
                if seen.pid != self._pid:
                    with suppress(ProcessLookupError):
                        self._former[seen.pid] = os.pidfd_open(seen.pid)
            self._found.set()
        return {pid: pidfd for pid, pidfd in self._former.items() if not _has_ended(pidfd)}

    # ---- the socket --------------------------------------------------------------------------

    def _give(self, output: Output) -> None:
        """Send the descriptors; later, if the socket is full now."""
        self._unsent.append(output)
        self._send_some()
        if self._unsent:
            self._more.set()

    def _send_some(self) -> None:
        # A writer that has ended is replaced, and the next one receives everything.
        with suppress(BlockingIOError, ConnectionError):
            while self._unsent and self._server is not None:
                output = self._unsent[0]
                descriptors = [output.pipe, output.log]
                socket.send_fds(self._server, [output.run_id.encode()], descriptors)
                self._unsent.pop(0)

    async def _send_unsent(self) -> None:
        while self._server is not None:
            if self._unsent:
                await trio.lowlevel.wait_writable(self._server)
                self._send_some()
            else:
                await self._more.wait()
                self._more = trio.Event()

    def _drop(self, output: Output) -> None:
        """Have the writer close a pipe to which another process could write without end."""
        if output.former_writer is None and self._server is not None:
            with suppress(BlockingIOError, ConnectionError):
                self._server.send(output.run_id.encode())

    async def _receive(self) -> None:
        while self._server is not None:
            await trio.lowlevel.wait_readable(self._server)
            try:
                name = self._server.recv(log_writer_process.NAME_BYTES_MAX)
            except BlockingIOError:
                continue
            except ConnectionError:
                return
            if not name:
                return
            if output := self._outputs.get(name.decode()):
                output.complete.set()


def write_private(path: Path, data: bytes) -> None:
    """Replace a small file. OSError: the old one is unchanged."""
    new = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    os.replace(new, path)


def _inodes_of(pid: int) -> set[int]:
    """Inode numbers of the open files of a process; empty when it has ended."""
    found = set[int]()
    with suppress(OSError):
        for name in process_tree.with_reserved_descriptor(lambda: os.listdir(f"/proc/{pid}/fd")):
            with suppress(OSError):
                found.add(os.stat(f"/proc/{pid}/fd/{name}").st_ino)
    return found


def _has_ended(pidfd: int, wait_s: float = 0.0) -> bool:
    """Whether the process has ended, or ends within `wait_s` (its pidfd becomes readable)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(wait_s * 1000))
