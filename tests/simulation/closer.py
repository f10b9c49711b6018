"""Close descriptors on a thread, where no task waits for the close.

The kernel takes 3 ms to close an inotify instance, asleep, and each life of a server has two: of a
world's time that was a seventh. Nothing in a world depends on when they are closed.
"""

import os
from queue import SimpleQueue
from threading import Thread


class Closer:
    """A thread of this process, begun when it is first needed: a fork inherits none."""

    def __init__(self) -> None:
        self._descriptors: SimpleQueue[int] = SimpleQueue()
        self._pid = 0

    def put(self, fd: int) -> None:
        """Queue a descriptor to be closed."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._descriptors = SimpleQueue()
            Thread(target=self._run, args=(self._descriptors,), daemon=True).start()
        self._descriptors.put(fd)

    @staticmethod
    def _run(descriptors: "SimpleQueue[int]") -> None:
        while True:
            os.close(descriptors.get())
