"""The child processes of this server: leaders of runs, and what programs left behind.

The server is a subreaper (prctl(2)): a process that a program leaves behind becomes the server's
child, also in a session of its own. Therefore one look at the server's children after a run shows
whether all of the run's processes are gone.
"""

import ctypes
import os
import signal
import threading
from collections import Counter
from contextlib import suppress

import trio

from actors.host import process_tree

REAP_PAUSE_S = 1.0
LOOKS_MAX = 100
"""How often a stray without a run id is examined: for half a second, in which any exec ends."""
LOOKED_AT_MAX = 1_000
PR_SET_CHILD_SUBREAPER = 36
CATCHABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
SIG_DFL = None  # a null pointer, as in signal(2)
_signal = ctypes.CDLL(None).signal
_signal.argtypes, _signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p


class Children:
    """Knows which children lead a run (`leaders`: run id by process id), and reaps the others.

    `own`: helpers of the server itself.
    """

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        self.own = set[int]()
        # Held while a new process is not yet in `leaders`: another thread may look for strays.
        self.lock = threading.Lock()
        self._looks = Counter[tuple[int, int]]()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    async def reap(self) -> None:
        """Reap dead orphans. Runs until cancelled.

        SIGCHLD is ignored between two passes: each signal wakes the loop, and short runs would send
        thousands. Python's handler is replaced without Python's knowledge, because a signal that
        arrives while Python replaces it is printed as an error ("Signal 17 ignored due to race
        condition").
        """
        with trio.open_signal_receiver(signal.SIGCHLD) as deaths:
            pythons = _signal(signal.SIGCHLD, SIG_DFL)
            while True:
                _signal(signal.SIGCHLD, pythons)
                try:
                    self.strays()
                    await anext(deaths)
                finally:
                    _signal(signal.SIGCHLD, SIG_DFL)
                await trio.sleep(REAP_PAUSE_S)

    def strays(self) -> list[int]:
        """Living children that lead no run, which are orphans of a program. Dead ones are
        reaped.
        """
        living = []
        with self.lock:
            for pid in process_tree.own_children():
                if pid not in self.leaders and pid not in self.own:
                    with suppress(ChildProcessError):
                        if os.waitpid(pid, os.WNOHANG) == (0, 0):
                            living.append(pid)
        return living

    def may_show_itself(self, stray: process_tree.ProcessState) -> bool:
        """Whether a stray without a run id is worth another look.

        During execve(2) a process has no environment; some processes have cleared theirs.
        """
        if len(self._looks) > LOOKED_AT_MAX:
            self._looks.clear()
        self._looks[stray.pid, stray.start_ticks] += 1
        return self._looks[stray.pid, stray.start_ticks] <= LOOKS_MAX
