"""The server's standard error: writing to it never waits or fails, whatever it is connected to.

It may be a pipe without a reader, a lost terminal, a full disk. A thread writes the lines; those
that exceed the backlog, or that cannot be written, are dropped and counted, and when writing works
again a line states how many were lost. Invariant: `write` makes no system call that can block, and
raises nothing.

The content of the lines is decided in `log_config.py`.
"""

import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOBase
from queue import SimpleQueue

BACKLOG_BYTES_MAX = 1024 * 1024
GATHER_S = 0.005
"""The pause after a write: without it each of a thousand lines a second would take a system call
and a switch of threads."""
LINE_CHARS_MAX = 64 * 1024
FINISH_S = 1.0
"""How long the process waits for a reader before it exits."""

NO_THREAD = "no thread can be started: the host has no room for another, or this account has not"


class LogStream(TextIOBase):
    """A replacement of `sys.stderr`. `dropped`: how many lines were lost so far."""

    def __init__(
        self,
        fd: int,
        *,
        encoding: str = "utf-8",
        backlog_bytes_max: int = BACKLOG_BYTES_MAX,
    ) -> None:
        self.dropped = 0
        self.notice: Callable[[int], str] = lambda lines: f"headway: {lines} log lines were lost\n"
        """Makes the line that states how many were lost."""
        self._fd = fd
        self._encoding = encoding
        self._backlog_bytes_max = backlog_bytes_max
        # Reentrant: a finaliser that warns may run at any allocation.
        self._lock = threading.RLock()
        self._rest = ""  # of a line that is not whole yet
        self._backlog: list[bytes] = []
        self._backlog_bytes = 0
        self._overflow = 0  # lines that exceeded the backlog, after its lines
        self._unreported = 0  # lines that could not be written, before the backlog
        self._is_torn = False  # the last line that was written lacks its end
        self._is_awake = False
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    # ---- the stream --------------------------------------------------------------------------

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, text: str) -> int:
        """Pass whole lines to the thread; never waits."""
        with self._lock:
            lines, newline, self._rest = (self._rest + text).rpartition("\n")
            if len(self._rest) > LINE_CHARS_MAX:
                lines, newline, self._rest = f"{lines}{newline}{self._rest}", "\n", ""
            if newline:
                self._hand_over(f"{lines}\n".encode(self._encoding, "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def finish(self, timeout_s: float = FINISH_S) -> None:
        """Write the remaining lines, as far as possible within `timeout_s`, and end the thread."""
        if self._rest:
            self.write("\n")
        self._ending.set()
        self._wake.put(False)
        self._thread.join(timeout_s)

    def _hand_over(self, lines: bytes) -> None:
        if self._backlog_bytes + len(lines) > self._backlog_bytes_max:
            count = lines.count(b"\n")
            self._overflow += count
            self.dropped += count
            return
        self._backlog.append(lines)
        self._backlog_bytes += len(lines)
        if not self._is_awake:
            self._is_awake = True
            self._wake.put(True)

    # ---- the thread --------------------------------------------------------------------------

    def _work(self) -> None:
        # Where a terminal stops background processes that write to it (`stty tostop`), this one
        # may write all the same: otherwise the whole process would stop.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
        while self._wake.get():
            while taken := self._take():
                self._write_out(*taken)
                self._ending.wait(GATHER_S)
        if taken := self._take():
            self._write_out(*taken)

    def _take(self) -> tuple[bytes, int] | None:
        """The backlog, and how many lines were dropped after it; None if it is empty."""
        with self._lock:
            lines, overflow = b"".join(self._backlog), self._overflow
            self._backlog, self._backlog_bytes, self._overflow = [], 0, 0
            self._is_awake = bool(lines)
        return (lines, overflow) if lines else None

    def _write_out(self, lines: bytes, overflow: int) -> None:
        before = b"\n" if self._is_torn else b""
        if self._unreported:
            before += self._notice(self._unreported)
        after = self._notice(overflow) if overflow else b""
        whole = before + lines + after
        written = self._write_some(whole)
        if written < len(before):  # the notice may be torn too: it is written again
            self._unreported += lines.count(b"\n") + overflow
            self.dropped += lines.count(b"\n")
        else:
            lost = lines[written - len(before) :].count(b"\n")
            self._unreported = lost + (overflow if written < len(whole) else 0)
            self.dropped += lost
        if written:
            self._is_torn = whole[written - 1] != ord("\n")

    def _notice(self, lines: int) -> bytes:
        return self.notice(lines).encode(self._encoding, "backslashreplace")

    def _write_some(self, data: bytes) -> int:
        """Write as much as possible, and return how much. It waits for a reader."""
        written = 0
        while written < len(data):
            try:
                written += os.write(self._fd, data[written:])
            except BlockingIOError:  # another process has made the file non-blocking
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll()
            except OSError:
                break
        return written


@contextmanager
def logging_to_stderr() -> Iterator[LogStream]:
    """Replace `sys.stderr` by a `LogStream` in the block, also for warnings and tracebacks.

    An error that leaves the block is written with its traceback, and the exit status is 1.
    """
    original = sys.stderr
    try:
        stream = LogStream(2, encoding=getattr(original, "encoding", None) or "utf-8")
    except RuntimeError as error:
        raise SystemExit(f"headway: {NO_THREAD}") from error
    sys.stderr = stream
    try:
        yield stream
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - as the interpreter would end
        if any(str(leaf) == "can't start new thread" for leaf in leaves(error)):
            print(f"headway: {NO_THREAD}", file=stream)
        else:
            traceback.print_exc()
        raise SystemExit(1) from None
    finally:
        stream.finish()
        sys.stderr = original


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors inside nested groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
