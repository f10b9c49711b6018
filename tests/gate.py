"""A named pipe that holds a program until a test lets it go on."""

import os
from contextlib import suppress
from pathlib import Path

from tests.eventually import eventually


class Gate:
    """A pipe whose reader prints what is written to it, and goes on when it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._writer: int | None = None
        os.mkfifo(path)

    def write(self, text: bytes | str) -> None:
        """Let the program print this, and hold it still."""
        if self._writer is None:
            self._writer = self._open()
        os.write(self._writer, text.encode() if isinstance(text, str) else text)

    def open(self) -> None:
        """Let the program go on."""
        if self._writer is None:
            self._writer = self._open()
        self.drop()

    def drop(self) -> None:
        """Close the pipe, whether or not a program reads it."""
        if self._writer is not None:
            os.close(self._writer)
        self._writer = None

    def _open(self) -> int:
        def attempt() -> int:
            with suppress(OSError):  # ENXIO: no program reads yet
                return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            return 0

        writer = eventually(attempt, "a program opens the gate")
        assert isinstance(writer, int)
        return writer
