"""Progress reports: lines for people on standard output, JSON lines for headway.

Each JSON line is one `write` to a file opened for appending, so a line is complete or absent. A
report that cannot be written brings a note; the work goes on.
"""

import json
import os
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any


class ProgramReport:
    """`path` is the file named by HEADWAY_REPORT; None or empty: standard output only."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        if isinstance(sys.stdout, TextIOWrapper):  # a terminal without UTF-8 must not end the run
            sys.stdout.reconfigure(errors="backslashreplace")

    def progress(self, fraction: float, message: str) -> None:
        """Report that `fraction` of the work is done, 0 to 1."""
        self.say(message)
        self._append({"progress": round(min(max(fraction, 0.0), 1.0), 4), "message": message})

    def result(self, value: Mapping[str, Any]) -> None:
        self._append({"result": value})

    def say(self, message: str) -> None:
        try:
            print(message, flush=True)
        except BrokenPipeError:  # the reader is gone (`| head`): continue without output
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def note(self, message: str) -> None:
        """Report that something was left out or is odd; the work goes on."""
        print(f"note: {message}", file=sys.stderr, flush=True)

    def _append(self, record: Mapping[str, Any]) -> None:
        if not self._path:
            return
        line = json.dumps(record).encode() + b"\n"
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.write(file, line)
            finally:
                os.close(file)
        except OSError as error:
            self.note(f"progress is not reported any more: {error}")
            self._path = None
