"""What a host does for runs: start a program, find it again, end it. The seam that tests imagine.

How Linux does it is in `linux_host.py` and `linux_process.py`; when to start and end is decided in
`run_lifecycle.py`.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

import trio

from actors.host.launch import Launch
from actors.host.shim import ExitRecord
from headway.model.run import Left


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
        """How it ended, as far as is known. None: look into the exit file."""
        ...

    async def drain_output(self) -> None:
        """Return when all that it wrote is in its log. Nothing of the run lives any more."""
        ...

    def has_log(self, path: Path) -> bool:
        """Whether its log is where it was made."""
        ...

    def save_log(self, path: Path) -> None:
        """Write the log anew where its program, or another, has removed it. Blocks.

        Raises:
            OSError: something else is there now, or it cannot be written.
        """
        ...

    def fence(self) -> None:
        """Make sure that a later server can end the whole tree, too. Blocks for milliseconds."""
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
        """Let go of what was held to watch it."""
        ...


class Host(Protocol):
    """The seam: production starts processes, a simulation imagines them."""

    boot_id: str

    def launch(self, launch: Launch) -> Process:
        """Start a program. Raises `SpawnFailed`, `HostUnfit`."""
        ...

    def adopt(
        self, run_id: str, record: ExitRecord, digests: Collection[str] = ()
    ) -> Process | None:
        """The process that a former server started for this run, if it still lives.

        `digests`: of the seals that its exit record may carry, see `shim.py`.
        """
        ...

    async def sweep(self, run_ids: frozenset[str], grace_s: float, hurry: trio.Event) -> Left:
        """End every process that carries one of these run ids, and return when they are gone.

        TERM, and after `grace_s`, or when `hurry` is set, KILL. Returns what there was.
        """
        ...

    async def output_settled(self, log_file: Path) -> None:
        """Return when what a run wrote that ended while no server was there is in its log."""
        ...

    async def run(self) -> None:
        """Reap dead orphans, and whatever else must be looked after. Runs until cancelled."""
        ...
