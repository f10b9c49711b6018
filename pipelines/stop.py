"""Ending cleanly on SIGTERM or SIGINT.

The first signal only asks; the work in hand is finished and the program ends where nothing is half
done. Waiting is different: `during` gives up at once, by `Stopped`. A second signal has its default
effect, which is safe because files are replaced whole and the registry is a transaction.
"""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Self, TypeVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)

T = TypeVar("T")


class Stopped(BaseException):
    """Raised out of `Stop.during`. Not an `Exception`, so that no handler of errors swallows it."""


class Stop:
    """Handles the signals while it is entered, and puts the former handlers back."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._interruptible = False
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
        for signum in SIGNALS:
            # An ignored signal stays ignored: whoever started us in the background meant it.
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._former[signum] = signal.signal(signum, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._former.items():
            signal.signal(signum, handler)

    def during(self, act: Callable[[], T]) -> T:
        """`act()`, given up by `Stopped` when a signal comes. For waits, never for writes."""
        self._interruptible = True
        try:
            if self.requested:
                raise Stopped
            return act()
        finally:
            self._interruptible = False

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        self.signum = signum
        signal.signal(signum, signal.SIG_DFL)
        if self._interruptible:
            raise Stopped
