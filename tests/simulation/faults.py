"""Faults of a simulated world: at any moment, or at the n-th operation of the disk."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from shutil import rmtree
from typing import TYPE_CHECKING

import apsw
import trio

from actors.actor import Message
from tests.simulation.host import FULL

if TYPE_CHECKING:
    from tests.simulation.world import World

PAUSE_S = 2.0
FAULTS_MIN = 20
DAY_S = 86_400.0
KINDS = (
    "kill",
    "kill at an operation",
    "power cut",
    "power cut at an operation",
    "I/O error",
    "disk full",
    "actor crash",
    "program killed",
    "shim killed",
    "clock set ahead",
    "clock set back",
    "spawn fails",
    "host unfit",
    "space short",
)
"""Of these the server dies at any await (kill), at any I/O, alone or with its host (power cut)."""

ENDS = ("shut down", "detached", "hurried", "interrupted")
"""How orderly ends went: with a second signal, or with a death before they were over."""

DETACHED = 0.4
LOST_FILES = 0.3
"""How likely a run's unsynced files are gone after a power cut."""


class Killed(BaseException):
    """The server's process is no more."""


@dataclass(frozen=True, slots=True)
class Nonsense(Message):
    """A message that no actor understands: its receiver crashes."""


class Faults:
    """Makes things go wrong, until it has been enough.

    `count`: what did go wrong, by its kind; `ends`: the orderly ends that came between.
    """

    def __init__(self, rng: random.Random, world: "World") -> None:
        self.count: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.ends: dict[str, int] = dict.fromkeys(ENDS, 0)
        self._rng = rng
        self._world = world
        self._kinds: dict[Callable[[], Awaitable[None]], int] = {
            self._kill: 4,
            self._kill_at_operation: 6,
            self._power_cut: 1,
            self._power_cut_at_operation: 3,
            self._io_error: 2,
            self._disk_full: 2,
            self._actor_crash: 3,
            self._program_killed: 3,
            self._shim_killed: 2,
            self._clock_set: 3,
            self._spawn_fails: 2,
            self._host_unfit: 2,
            self._space_short: 2,
            self._signal: 4,
        }

    @property
    def done(self) -> bool:
        """Whether there were enough faults."""
        return sum(self.count.values()) >= FAULTS_MIN

    async def run(self) -> None:
        """Strike with one fault after the other, until done or cancelled."""
        while not self.done:
            await self._world.ticks.sleep(self._rng.expovariate(1 / PAUSE_S))
            (fault,) = self._rng.choices(list(self._kinds), list(self._kinds.values()))
            await fault()

    def struck(self, kind: str, where: str = "") -> None:
        """Count a fault that has really happened."""
        self.count[kind] += 1
        self._world.note(f"{kind}{where}")

    # ---- the server --------------------------------------------------------------------------

    async def _kill(self) -> None:
        self.struck("kill")
        self._world.disk.crash()
        self._world.end_life()

    async def _kill_at_operation(self) -> None:
        await self._at_operation("kill at an operation", self._die)

    def _die(self) -> None:
        self._world.disk.crash()
        self._world.end_life()
        raise Killed

    async def _signal(self) -> None:
        """SIGTERM: not counted as a fault. The next fault may interrupt the shutdown."""
        self._world.shut_down(detach=self._rng.random() < DETACHED)

    async def _actor_crash(self) -> None:
        if mailboxes := self._world.mailboxes:
            self.struck("actor crash")
            self._rng.choice(mailboxes).tell_nowait(Nonsense())

    # ---- the host ----------------------------------------------------------------------------

    async def _power_cut(self) -> None:
        self.struck("power cut")
        self._lose_power()
        self._world.end_life()

    async def _power_cut_at_operation(self) -> None:
        def cut() -> None:
            self._lose_power()
            self._world.end_life()
            raise Killed

        await self._at_operation("power cut at an operation", cut)

    def _lose_power(self) -> None:
        world = self._world
        world.disk.power_loss()
        world.host.restart()
        world.model.power_lost()
        for run_id in world.model.replay.running:
            if self._rng.random() < LOST_FILES:
                world.lost.add(run_id)
                rmtree(world.path / "runs" / run_id, ignore_errors=True)

    async def _program_killed(self) -> None:
        if living := self._world.host.living:
            self.struck("program killed")
            self._rng.choice(living).end(137, by_signal=True)

    async def _shim_killed(self) -> None:
        if living := self._world.host.living:
            self.struck("shim killed")
            self._rng.choice(living).end(None)

    async def _clock_set(self) -> None:
        days = self._rng.choice((1 / DAY_S, 1 / 24, 1, 10))
        by_s = self._rng.uniform(-days, days) * DAY_S
        self.struck("clock set back" if by_s < 0 else "clock set ahead", f" by {abs(by_s):.3f} s")
        self._world.clock.set_by_s(by_s)
        self._world.clients.clock_was_set(self._world.clock.now())

    async def _spawn_fails(self) -> None:
        host = self._world.host
        before, host.spawn_fails = host.spawns_failed, 0.5
        await trio.sleep(self._rng.uniform(0, 3))
        host.spawn_fails = 0.0
        if host.spawns_failed > before:
            self.struck("spawn fails", f", {host.spawns_failed - before} times until now")

    async def _host_unfit(self) -> None:
        """Full, out of processes, out of descriptors: always, or half of the time."""
        host = self._world.host
        before, host.unfit_for = host.starts_withheld, self._rng.choice((0.5, 1.0))
        await trio.sleep(self._rng.uniform(0, 8))
        host.is_fit()
        if host.starts_withheld > before:
            self.struck("host unfit", f", {host.starts_withheld - before} times until now")

    async def _space_short(self) -> None:
        host = self._world.host
        before, host.space = host.shortages_seen, FULL
        await trio.sleep(self._rng.uniform(0, 8))
        host.is_fit()
        if host.shortages_seen > before:
            self.struck("space short", f", seen {host.shortages_seen - before} times")

    # ---- the disk ----------------------------------------------------------------------------

    async def _at_operation(self, kind_of: str, happen: Callable[[], None]) -> None:
        """Strike at one of the next operations of the disk, if it comes within some seconds."""
        disk = self._world.disk
        number = disk.operations + self._rng.choice((1, 2, 3, 5, 8, 13, 21, 40, 80))
        struck = trio.Event()

        def fault(kind: str, file: str) -> None:
            if disk.operations >= number and not struck.is_set():
                struck.set()
                self.struck(kind_of, f", at {kind} of {file}")
                happen()

        disk.fault = fault
        with trio.move_on_after(5):
            await struck.wait()
        disk.fault = None

    async def _io_error(self) -> None:
        def fail() -> None:
            raise apsw.IOError("disk I/O error")

        await self._at_operation("I/O error", fail)

    async def _disk_full(self) -> None:
        full = False

        def fault(kind: str, _file: str) -> None:
            nonlocal full
            if kind == "write":
                if not full:
                    self.struck("disk full")
                full = True
                raise apsw.FullError("database or disk is full")

        self._world.disk.fault = fault
        await trio.sleep(self._rng.uniform(0, 8))
        self._world.disk.fault = None
