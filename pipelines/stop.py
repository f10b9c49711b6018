"""An orderly end on SIGTERM or SIGINT.

The first signal only requests the end: the current story is finished. Waiting, by `wait` or
`during`, ends at once. A second signal has its default effect, which is safe because files are
replaced atomically and the registry is a transaction.
"""

import os
import select
import signal
from collections.abc import Callable
from threading import Thread
from types import FrameType
from typing import Self, TypeVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)

T = TypeVar("T")


class StopRequested(Exception):
    """A signal arrived during a wait."""


class Stop:
    """Handles the signals while it is entered, in the main thread; then restores all handlers.

    A wait watches a pipe to which the interpreter writes each signal: a handler that raises would
    miss a signal just before the wait begins.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._former: dict[signal.Signals, signal._HANDLER] = {}

    @property
    def requested(self) -> bool:
        return self.signum is not None

    @property
    def exit_code(self) -> int:
        """128 + n, as a shell reports a program that signal n ended."""
        assert self.signum is not None
        return 128 + self.signum

    def __enter__(self) -> Self:
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._former_wake = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for signum in SIGNALS:
            # An ignored signal stays ignored: programs in the background are started so.
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._former[signum] = signal.signal(signum, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._former.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._former_wake)
        os.close(self._woken)
        os.close(self._wake)

    def check(self) -> None:
        """Raise `StopRequested` if a signal has arrived."""
        if self.requested:
            raise StopRequested

    def wait(self, wait_s: float) -> None:
        """Wait for so many seconds. Raises `StopRequested` as soon as a signal arrives."""
        self._select([], wait_s)

    def during(self, act: Callable[[], T]) -> T:
        """Run `act` in a thread, which is abandoned, by `StopRequested`, when a signal arrives."""
        from concurrent.futures import Future  # slow to load, and only a model needs it

        future: Future[T] = Future()
        done, finish = os.pipe()

        def work() -> None:
            try:
                future.set_result(act())
            except BaseException as error:  # noqa: BLE001, it is raised again where it is awaited
                future.set_exception(error)
            finally:
                os.close(finish)

        try:
            Thread(target=work, daemon=True).start()
            self._select([done], None)
        finally:
            os.close(done)
        return future.result()

    def _select(self, files: list[int], timeout_s: float | None) -> None:
        self.check()
        ready, _, _ = select.select([self._woken, *files], [], [], timeout_s)
        if self._woken in ready:
            self.signum = os.read(self._woken, 1)[0]
        self.check()

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        self.signum = signum
        signal.signal(signum, signal.SIG_DFL)
