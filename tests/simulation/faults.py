"""What goes wrong in a simulated world: at any moment, or at the n-th operation of the disk."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from shutil import rmtree
from typing import TYPE_CHECKING

import apsw
import trio

from actors.actor import Message

if TYPE_CHECKING:
    from tests.simulation.world import World

PAUSE_S = 2.0
FAULTS_MIN = 20
DAY_S = 86_400.0
LOST_FILES = 0.3
"""How likely a run's unsynced files are gone after a power cut."""


class Killed(BaseException):
    """The server's process is no more."""


@dataclass(frozen=True, slots=True)
class Nonsense(Message):
    """A message that no actor understands: the one who gets it crashes."""


class Faults:
    """Makes things go wrong, until it has been enough."""

    def __init__(self, rng: random.Random, world: "World") -> None:
        self.count: dict[str, int] = {}
        self._rng = rng
        self._world = world
        self._kinds: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "kill": (4, self._kill),
            "kill at an operation": (6, self._kill_at_operation),
            "power cut": (1, self._power_cut),
            "power cut at an operation": (3, self._power_cut_at_operation),
            "I/O error": (2, self._io_error),
            "disk full": (2, self._disk_full),
            "actor crash": (3, self._actor_crash),
            "program killed": (3, self._program_killed),
            "shim killed": (2, self._shim_killed),
            "clock set": (3, self._clock_set),
            "spawn fails": (2, self._spawn_fails),
        }

    @property
    def done(self) -> bool:
        """Whether it has been enough."""
        return sum(self.count.values()) >= FAULTS_MIN

    async def run(self) -> None:
        """One after the other."""
        while not self.done:
            await trio.sleep(self._rng.expovariate(1 / PAUSE_S))
            weights = [weight for weight, _ in self._kinds.values()]
            (name,) = self._rng.choices(list(self._kinds), weights)
            self._world.note(name)
            self.count[name] = self.count.get(name, 0) + 1
            await self._kinds[name][1]()

    # ---- the server --------------------------------------------------------------------------

    async def _kill(self) -> None:
        self._world.disk.crash()
        self._world.end_life()

    async def _kill_at_operation(self) -> None:
        await self._at_operation(self._die)

    def _die(self) -> None:
        self._world.disk.crash()
        raise Killed

    async def _actor_crash(self) -> None:
        if mailboxes := self._world.mailboxes:
            self._rng.choice(mailboxes).tell_nowait(Nonsense())

    # ---- the host ----------------------------------------------------------------------------

    async def _power_cut(self) -> None:
        self._lose_power()
        self._world.end_life()

    async def _power_cut_at_operation(self) -> None:
        def cut() -> None:
            self._lose_power()
            raise Killed

        await self._at_operation(cut)

    def _lose_power(self) -> None:
        world = self._world
        world.disk.power_loss()
        world.host.restart()
        for run_id in world.model.replay.running:
            if self._rng.random() < LOST_FILES:
                world.lost.add(run_id)
                rmtree(world.path / "runs" / run_id, ignore_errors=True)

    async def _program_killed(self) -> None:
        if living := self._world.host.living:
            self._rng.choice(living).end(137, by_signal=True)

    async def _shim_killed(self) -> None:
        if living := self._world.host.living:
            self._rng.choice(living).end(None)

    async def _clock_set(self) -> None:
        days = self._rng.choice((1 / DAY_S, 1 / 24, 1, 10))
        self._world.clock.set_by_s(self._rng.uniform(-days, days) * DAY_S)
        self._world.clients.clock_was_set(self._world.clock.now())

    async def _spawn_fails(self) -> None:
        self._world.host.spawn_fails = 0.5
        await trio.sleep(self._rng.uniform(0, 3))
        self._world.host.spawn_fails = 0.0

    # ---- the disk ----------------------------------------------------------------------------

    async def _at_operation(self, happen: Callable[[], None]) -> None:
        """Once, at one of the next operations, if it comes to it within some seconds."""
        disk = self._world.disk
        number = disk.operations + self._rng.choice((1, 2, 3, 5, 8, 13, 21, 40, 80))
        struck = trio.Event()

        def fault(kind: str, file: str) -> None:
            if disk.operations >= number and not struck.is_set():
                struck.set()
                self._world.note(f"  at {kind} of {file}")
                happen()

        disk.fault = fault
        with trio.move_on_after(5):
            await struck.wait()
        disk.fault = None

    async def _io_error(self) -> None:
        def fail() -> None:
            raise apsw.IOError("disk I/O error")

        await self._at_operation(fail)

    async def _disk_full(self) -> None:
        def fault(kind: str, _file: str) -> None:
            if kind == "write":
                raise apsw.FullError("database or disk is full")

        self._world.disk.fault = fault
        await trio.sleep(self._rng.uniform(0, 8))
        self._world.disk.fault = None
