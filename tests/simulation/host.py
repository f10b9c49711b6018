"""The host of a simulation: programs of all kinds, and a process table that outlives the server."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate

import trio

from actors.launch import Launch, SpawnFailed
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
    (3, Program(lasts_s=None)),  # until its time-out
)

_PROGRAMS = tuple(program for _, program in KINDS)
_CUMULATED = tuple(accumulate(weight for weight, _ in KINDS))


class SimulatedHost(FakeHost):
    """Chooses what each program does, and lets starts fail while `spawn_fails`."""

    def __init__(self, nursery: trio.Nursery, rng: random.Random) -> None:
        super().__init__(nursery)
        self.spawn_fails = 0.0
        self.spawns_failed = 0
        self.launching: Callable[[str], None] = lambda _: None
        self.launched: Callable[[str], None] = lambda _: None
        self._rng = rng
        self._populated: list[ImaginedProcess] = []

    def launch(self, launch: Launch) -> ImaginedProcess:
        """Start it, or not."""
        self.launching(launch.run_id)
        if self._rng.random() < self.spawn_fails:
            self.spawns_failed += 1
            raise SpawnFailed("cannot start it: Resource temporarily unavailable")
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

    def populated(self) -> list[ImaginedProcess]:
        """Runs of which anything lives: the program, or what it left behind."""
        self._populated = [p for p in self._populated if p.lives or p.left_behind]
        return self._populated

    def restart(self) -> None:
        """The host goes down under everything, and comes up with another boot id."""
        for process in self.populated():
            process.left_behind = False
            process.ended.set()  # without a last word; who had ended before has said it
        self.boot_id = f"boot-{int(self.boot_id.rpartition('-')[2]) + 1}"
