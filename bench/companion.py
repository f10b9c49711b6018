"""A process beside a bench, which prints a line when it is ready and replies to lines with JSON."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Self

from bench.machine import ROOT


class Companion:
    """A module of this package in a process of its own. A context manager; entered when ready."""

    def __init__(self, arguments: Sequence[str], *, ready: str) -> None:
        """`arguments`: the module and its arguments. `ready`: the line that it prints when
        ready.
        """
        self._ready = ready
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        if self._output.readline() != f"{self._ready}\n":
            raise ConnectionError(f"{self._process.args!r} did not say: {self._ready}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()

    def ask(self, line: str = "") -> dict[str, Any]:
        """Its response to a line."""
        self._input.write(f"{line}\n")
        self._input.flush()
        found: dict[str, Any] = json.loads(self._output.readline())
        return found
