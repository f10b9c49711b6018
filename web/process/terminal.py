"""The terminal that a server was started from, which it may lose.

When its window is closed, or its shell ends, the kernel takes it from the process and sends SIGHUP:
the signal by which an operator asks for the configuration to be read again. Whether the terminal is
still there tells the two apart.
"""

import os
import signal


class Terminal:
    """Made once, at the start of the process: from then on SIGHUP ends it no more.

    `is_needed`: losing it means the end. Not where there was none, nor where SIGHUP was ignored:
    nohup(1) asks for a process that goes on without its terminal.
    """

    def __init__(self) -> None:
        was_ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN) is signal.SIG_IGN
        self.exists = _is_there()
        self.is_needed = self.exists and not was_ignored

    @property
    def is_lost(self) -> bool:
        """Whether there was one and it is gone."""
        return self.exists and not _is_there()


def _is_there() -> bool:
    """Whether this process has a controlling terminal: see tty(4)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:  # ENXIO
        return False
    return True
