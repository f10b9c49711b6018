"""The process that moves the output of programs from their pipes into their logs.

It outlives the server that started it: standard input is a socket to that server, and without the
server it continues until the last pipe has ended. Each message of the server carries two
descriptors, the pipe and the log. When all data of the pipe is in the log, and no process can write
to it any more, the name in the message is sent back.

Invariant: bytes leave a pipe only when they are in the log. splice(2) moves them in one system
call, so a kill at any moment neither loses nor repeats one. If the log cannot take them (a full
disk), they stay in the pipe, and the program waits.

Standard library only, no import of headway: it runs on while headway is upgraded.
"""

import array
import errno
import os
import select
import socket
from collections import deque
from contextlib import suppress

PIECE_BYTES = 1024 * 1024
WAITED_FOR = (
    *(errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EIO, errno.EROFS, errno.ESTALE),
    *(errno.EAGAIN, errno.EINTR, errno.ENODEV, errno.ENXIO, errno.ETIMEDOUT),
)
"""Errors of the host, not of the log."""
RETRY_S = 0.5
"""The pause before a log that failed is written again."""
NAME_BYTES_MAX = 256
PID_FILE = "HEADWAY_LOG_WRITER_PID_FILE"
STARTING, READY = b"starting", b"ready   "
"""The second word of the pid file: before the writer has the pipes that it was sent, and then."""


class OutputPipe:
    """The output of one program.

    `copied`: bytes taken from the pipe where splice(2) is not possible. `is_lost`: the log can take
    nothing any more, because its program has made it as long as a file may be. Waiting would delay
    the end of the run.
    """

    __slots__ = ("copied", "is_lost", "log", "name", "pipe")

    def __init__(self, name: bytes, pipe: int, log: int) -> None:
        self.name = name
        self.pipe = pipe
        self.log = log
        self.copied: bytes | None = None
        self.is_lost = False

    def move(self) -> bool:
        """Move one piece; False at the end of the output.

        Raises:
            OSError: the log takes nothing now.
        """
        if not self.is_lost:
            try:
                return self._move()
            except OSError as error:
                if error.errno in WAITED_FOR:
                    raise
                self.is_lost = True
        return self._drop()

    def _drop(self) -> bool:
        try:
            return bool(os.read(self.pipe, PIECE_BYTES))
        except BlockingIOError:
            return True

    def _move(self) -> bool:
        # At the end of the log, also after the program has truncated it.
        os.lseek(self.log, 0, os.SEEK_END)
        if self.copied is None:
            try:
                return os.splice(self.pipe, self.log, PIECE_BYTES, flags=os.SPLICE_F_NONBLOCK) > 0
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self.copied = b""  # a file system without splice(2)
        return self._copy()

    def _copy(self) -> bool:
        if not self.copied:
            try:
                self.copied = os.read(self.pipe, PIECE_BYTES)
            except BlockingIOError:
                return True
            if not self.copied:
                return False
        while self.copied:
            self.copied = self.copied[os.write(self.log, self.copied) :]
        return True


class Writer:
    """Serves one server, and outlives it."""

    def __init__(self, server: socket.socket) -> None:
        server.setblocking(False)
        self._server: socket.socket | None = server
        self._epoll = select.epoll()
        self._epoll.register(server, select.EPOLLIN)
        self._outputs: dict[int, OutputPipe] = {}
        self._stuck: list[OutputPipe] = []
        self._unsent: deque[bytes] = deque()
        self._waits_to_send = False
        self._pid_file = os.environ.get(PID_FILE, "")

    def run(self) -> None:
        """Return when the server is gone and every pipe has ended."""
        while self._server is not None or self._outputs:
            for descriptor, _ in self._epoll.poll(RETRY_S if self._stuck else -1):
                if output := self._outputs.get(descriptor):
                    self._move(output)
                elif self._server is not None and descriptor == self._server.fileno():
                    self._receive(self._server)
                    self._note_ready()
            stuck, self._stuck = self._stuck, []
            for output in stuck:
                self._move(output, was_stuck=True)
            self._send()

    def _move(self, output: OutputPipe, *, was_stuck: bool = False) -> None:
        try:
            goes_on = output.move()
        except OSError:
            if not was_stuck:
                self._epoll.unregister(output.pipe)
            self._stuck.append(output)
            return
        if was_stuck:
            self._epoll.register(output.pipe, select.EPOLLIN)
        if not goes_on:
            self._end(output)

    def _end(self, output: OutputPipe) -> None:
        # close(2) would not do: the server has the same pipe open.
        self._epoll.unregister(output.pipe)
        del self._outputs[output.pipe]
        os.close(output.pipe)
        os.close(output.log)
        self._unsent.append(output.name)

    def _receive(self, server: socket.socket) -> None:
        """Receive messages of the server; an empty one means that the server has ended."""
        with suppress(BlockingIOError):
            while True:
                name, descriptors = _received(server)
                if not name:
                    self._epoll.unregister(server)
                    server.close()
                    self._server = None
                    return
                if len(descriptors) == 2:
                    output = OutputPipe(name, *descriptors)
                    self._outputs[output.pipe] = output
                    self._epoll.register(output.pipe, select.EPOLLIN)
                else:
                    self._drop(name)

    def _note_ready(self) -> None:
        """Tell shims that this writer has their pipes: see `shim.py`."""
        path, self._pid_file = self._pid_file, ""
        if not path:
            return
        own = b"%d " % os.getpid()
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            if os.pread(descriptor, NAME_BYTES_MAX, 0) == own + STARTING + b"\n":
                os.pwrite(descriptor, READY, len(own))
            os.close(descriptor)

    def _drop(self, name: bytes) -> None:
        """Stop reading an output, even if a process may still write to its pipe."""
        for output in list(self._outputs.values()):
            if output.name == name:
                if output in self._stuck:
                    self._stuck.remove(output)
                    self._epoll.register(output.pipe, select.EPOLLIN)
                self._end(output)

    def _send(self) -> None:
        """Send the names of complete outputs, as many as the socket takes."""
        server = self._server
        with suppress(BlockingIOError):
            while self._unsent and server is not None:
                with suppress(ConnectionError):  # the server has ended, which the socket reports
                    server.send(self._unsent[0])
                self._unsent.popleft()
        if server is not None and self._waits_to_send != bool(self._unsent):
            self._waits_to_send = not self._waits_to_send
            events = select.EPOLLIN | (select.EPOLLOUT if self._waits_to_send else 0)
            self._epoll.modify(server, events)


def _received(server: socket.socket) -> tuple[bytes, list[int]]:
    try:
        name, ancillary, _, _ = server.recvmsg(NAME_BYTES_MAX, socket.CMSG_LEN(2 * 4))
    except ConnectionError:
        return b"", []
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) // 4 * 4])
    return name, list(descriptors)


if __name__ == "__main__":
    Writer(socket.socket(fileno=0)).run()
