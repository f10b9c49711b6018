"""What a host does for runs: start a program, find it again, end it. The seam for tests.

`linux_host.py` and `linux_process.py` implement it for Linux; `run_lifecycle.py` decides when to
start and to end.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

import trio

from actors.host.launch import Launch
from actors.host.shim import ExitRecord
from headway.model.run import Left


class Process(Protocol):
    """A running program and everything that it started."""

    @property
    def pid(self) -> int: ...

    def age_s(self) -> float:
        """Seconds since it started."""
        ...

    async def wait(self) -> None:
        """Return when its leader has ended."""
        ...

    def exit_record(self) -> ExitRecord | None:
        """How it ended, if known. None: see the exit file."""
        ...

    async def drain_output(self) -> None:
        """Return when all of its output is in its log. No process of the run lives any more."""
        ...

    def has_log(self, path: Path) -> bool:
        """Whether its log has its name still."""
        ...

    def save_log(self, path: Path) -> None:
        """Write the log again where a program has removed it. Blocks.

        Raises:
            OSError: something else has its name now, or it cannot be written.
        """
        ...

    def fence(self) -> None:
        """Make sure that a later server can end the whole tree too. Blocks for milliseconds."""
        ...

    def terminate(self) -> None:
        """Send TERM to the whole tree."""
        ...

    async def end_rest(self, grace_s: float, hurry: trio.Event) -> Left:
        """End what the program left behind, as `Host.sweep` does; its leader has ended."""
        ...

    async def kill(self) -> None:
        """Send KILL to the whole tree, and return when nothing of it is left."""
        ...

    def close(self) -> None:
        """Release the descriptors that watched it."""
        ...


class Host(Protocol):
    """The seam: production starts processes, a simulation imitates them."""

    boot_id: str

    def launch(self, launch: Launch) -> Process:
        """Start a program. Raises `SpawnFailed`, `HostUnfit`."""
        ...

    def adopt(
        self, run_id: str, record: ExitRecord, digests: Collection[str] = ()
    ) -> Process | None:
        """The process that an earlier server started for this run, if it still lives.

        `digests`: of the seals that its exit record may carry, see `shim.py`.
        """
        ...

    async def sweep(self, run_ids: frozenset[str], grace_s: float, hurry: trio.Event) -> Left:
        """End every process that carries one of these run ids, and return when they are gone.

        Sends TERM, and KILL after `grace_s`, or when `hurry` is set. Returns what there was.
        """
        ...

    async def output_settled(self, log_file: Path) -> None:
        """Return when the output of a run that ended between two servers is in its log."""
        ...

    async def run(self) -> None:
        """Reap dead orphans, and what else needs supervision. Runs until cancelled."""
        ...
