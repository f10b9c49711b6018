"""The terminal that a server was started from, and whether it is lost.

When its window is closed, or its shell ends, the kernel detaches it from the process and sends
SIGHUP: the same signal with which an operator requests a reload. The two differ in whether the
terminal is still there.
"""

import os
import signal


class Terminal:
    """The controlling terminal. Made once, when the process starts: from then SIGHUP is ignored.

    `is_needed`: the server ends when it is lost. Not if there was none, nor if SIGHUP was ignored:
    a process under nohup(1) is to go on without its terminal.
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
