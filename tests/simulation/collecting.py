"""Simulated pools for collecting artifacts: slow, interrupted, or with a failing disk."""

import errno
import hashlib
import os
import random
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import apsw
import trio
from pydantic_core import from_json

from actors.runner import StopFlag, Stopped
from config.job_type import JobType
from tests.imagined import ImaginedProcess

T = TypeVar("T")

CALLS = {"at once": 12, "late": 4, "given up in the middle": 3, "failed": 2}
"""How calls go, and how often."""
LATE_S = (0.02, 0.2, 5.0, 100.0)
LONG_S = 1_000.0


class CountedStop(StopFlag):
    """Stops a call after so many of its steps."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def check(self) -> None:
        """Count a step, and stop the call after the last one."""
        self.left -= 1
        if self.left < 0:
            raise Stopped


class SimulatedPool:
    """A pool that is slow, or whose disk fails, until `is_calm`. `count`: calls by outcome."""

    def __init__(self, rng: random.Random, count: dict[str, int]) -> None:
        self.is_calm = False
        self.count = count
        self._rng = rng

    async def run(self, work: Callable[[StopFlag], T]) -> T:
        """Call `work` after a random time."""
        await trio.lowlevel.checkpoint()
        if self.is_calm:
            return work(StopFlag())
        (how,) = self._rng.choices(list(CALLS), list(CALLS.values()))
        self.count[how] += 1
        if how == "late":
            await trio.sleep(self._rng.choice(LATE_S))
        elif how == "given up in the middle":
            try:
                return work(CountedStop(self._rng.randrange(12)))
            except Stopped:
                await trio.sleep(LONG_S)  # most callers are cancelled by then
        elif how == "failed":
            number = self._rng.choice((errno.EIO, errno.EMFILE))
            raise OSError(number, os.strerror(number))
        return work(StopFlag())


def wrongly_collected(
    connection: apsw.Connection,
    processes: Iterable[ImaginedProcess],
    lost: Container[str],
    types: dict[str, JobType],
    runs_dir: Path,
) -> Iterator[str]:
    """Where the artifacts of a run differ from the files of its program, and those kept."""
    for process in processes:
        run_id = process.launch.run_id
        if run_id in lost:
            continue
        job_type = types[process.launch.argv[0]]
        for what in _wrong(connection, run_id, process, job_type, runs_dir / run_id):
            yield f"{run_id}: {what}"


def _wrong(
    connection: apsw.Connection, run_id: str, process: ImaginedProcess, job_type: JobType, run: Path
) -> Iterator[str]:
    row: Any = connection.execute(
        "SELECT artifacts, collecting, collection_reason FROM job_runs WHERE run_id = ?", (run_id,)
    ).fetchone()
    shown, collecting, reason = {one["name"]: one for one in from_json(row[0])}, row[1], row[2]
    made = process.program.artifacts
    kept = sorted(name for name, one in shown.items() if one["kept"])
    there = sorted(os.listdir(run / "artifacts")) if (run / "artifacts").exists() else []
    if collecting:
        yield "its collection never ends"
    if (run / "work").exists():
        yield "its working directory is still there"
    if reason is None and (kept != there or sorted(shown) != sorted(made)):
        yield f"it left {sorted(made)}, {sorted(shown)} are shown and {there} are there"
    if len(kept) > job_type.artifact_limit_files or not set(kept) <= set(there):
        yield f"{kept} are kept and {there} are there"
    if not set(there) <= set(made):
        yield f"it left {sorted(made)}, and {there} are there"
    if set(made) - set(there) - set(shown):
        yield f"{sorted(made)} were made, {there} are there and only {sorted(shown)} were listed"
    for name, one in shown.items():
        if one["sha256"] not in (None, hashlib.sha256(made[name]).hexdigest()):
            yield f"the checksum of {name} is {one['sha256']}"
