"""The host of a simulation: programs of all kinds, and a process table that outlives the server."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from math import inf
from pathlib import Path
from typing import NamedTuple

import trio

from actors.host.launch import HostUnfit, Launch, SpawnFailed
from tests.imagined import FakeHost, ImaginedProcess, Program

KINDS: tuple[tuple[float, Program], ...] = (
    (60, Program()),
    (8, Program(exit_code=1)),
    (5, Program(exit_code=77)),
    (5, Program(heeds_term=False)),
    (4, Program(shim_speaks=False)),
    (4, Program(leaves_behind=True)),
    (4, Program(report=b'{"progress": 0.5, "message": "half"}\n{"result": {"n": 1}}\n')),
    (4, Program(output=b"a line\n" * 10)),
    (3, Program(artifacts={"story.md": b"once"})),
    (3, Program(artifacts={"a.md": b"one", "b.md": b"two", "c.md": b"three"}, work=("d/e/f",))),
    (3, Program(lasts_s=None)),  # until its time-out
)

RECOVERY_S = 3.0
"""So soon after the host is fit again nothing waits for it any more; a commit may take 0.4 s."""

_PROGRAMS = tuple(program for _, program in KINDS)
_CUMULATED = tuple(accumulate(weight for weight, _ in KINDS))


class Space(NamedTuple):
    """The result of statvfs(3) for the data directory."""

    f_frsize: int = 4096
    f_bavail: int = 1 << 30
    f_files: int = 1 << 30
    f_favail: int = 1 << 30


FREE, FULL = Space(), Space(f_bavail=1)


class SimulatedHost(FakeHost):
    """Chooses what each program does, and lets starts fail.

    `spawn_fails`: how often for the command's sake; `unfit_for`: how often for the host's. `space`:
    how much is free. `refused` are the runs whose command could not be started.
    """

    def __init__(self, nursery: trio.Nursery, rng: random.Random) -> None:
        super().__init__(nursery)
        self.spawn_fails = self.unfit_for = 0.0
        self.spawns_failed = self.starts_withheld = self.shortages_seen = 0
        self.space = FREE
        self.refused: set[str] = set()
        self._fit_since = -inf
        self.launching: Callable[[str], None] = lambda _: None
        self.launched: Callable[[str], None] = lambda _: None
        self._rng = rng
        self._populated: list[ImaginedProcess] = []

    def launch(self, launch: Launch) -> ImaginedProcess:
        """Start the program, or fail as the host would."""
        self.launching(launch.run_id)
        if self._rng.random() < self.unfit_for:
            self.starts_withheld += 1
            raise HostUnfit("no process can be started: Resource temporarily unavailable")
        if self._rng.random() < self.spawn_fails:
            self.spawns_failed += 1
            self.refused.add(launch.run_id)
            raise SpawnFailed("cannot start it: Exec format error")
        (kind,) = self._rng.choices(_PROGRAMS, cum_weights=_CUMULATED)
        if kind.lasts_s is not None:
            short = self._rng.random() < 0.5
            lasts_s = self._rng.choice((0, 0.01, 0.04)) if short else self._rng.expovariate(1.0)
            kind = replace(kind, lasts_s=lasts_s)
        self.programs[launch.argv[0]] = kind
        process = super().launch(launch)
        self.launched(launch.run_id)
        self._populated.append(process)
        return process

    def statvfs(self, _: Path) -> Space:
        """The free space of the moment."""
        self.shortages_seen += self.space is FULL
        return self.space

    def is_fit(self) -> None:
        """End all conditions that prevent starts."""
        self.unfit_for, self.space = 0.0, FREE
        self._fit_since = trio.current_time()

    @property
    def may_delay_starts(self) -> bool:
        """Whether something may wait for it still: it has just become fit, or is not."""
        if self.unfit_for or self.space is FULL:
            return True
        return trio.current_time() - self._fit_since <= RECOVERY_S

    def populated(self) -> list[ImaginedProcess]:
        """Runs of which anything lives: the program, or what it left behind."""
        self._populated = [p for p in self._populated if p.lives or p.left_behind]
        return self._populated

    def restart(self) -> None:
        """The host goes down under everything, and comes up with another boot id."""
        for process in self.populated():
            process.left_behind = False
            process.ended.set()  # without an exit record, unless it had ended before
        self.boot_id = f"boot-{int(self.boot_id.rpartition('-')[2]) + 1}"
