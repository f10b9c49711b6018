"""What a host does for runs: start a program, find it again, end it. The seam that tests imagine.

How Linux does it is in `linux_host.py` and `linux_process.py`; when to start and end is decided in
`run_life.py`.
"""

from typing import Protocol

from actors.launch import Launch
from actors.shim import ExitRecord


class Process(Protocol):
    """A running program with everything that it started."""

    @property
    def pid(self) -> int: ...

    def age_s(self) -> float:
        """Seconds since it started."""
        ...

    async def wait(self) -> None:
        """Return when its leader has ended."""
        ...

    def exit_record(self) -> ExitRecord | None:
        """How a program without a shim ended. None: look into the exit file."""
        ...

    def fence(self) -> None:
        """Make sure that a later server can end the whole tree, too. Blocks for milliseconds."""
        ...

    def terminate(self) -> None:
        """Send TERM to the whole tree."""
        ...

    async def kill(self) -> None:
        """Send KILL to the whole tree, and return when nothing of it is left."""
        ...

    def close(self) -> None:
        """Let go of what was held to watch it."""
        ...


class Host(Protocol):
    """The seam: production starts processes, a simulation imagines them."""

    boot_id: str

    def launch(self, launch: Launch) -> Process:
        """Start a program. Raises `SpawnFailed`."""
        ...

    def adopt(self, run_id: str, record: ExitRecord) -> Process | None:
        """The process that a former server started for this run, if it still lives."""
        ...

    async def sweep(self, run_ids: frozenset[str]) -> None:
        """End every process that carries one of these run ids, and return when they are gone."""
        ...

    async def reap(self) -> None:
        """Bury dead orphans. Runs until cancelled."""
        ...
