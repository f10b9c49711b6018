"""One simulated world from one seed: the real server, life after life, in a host that fails.

Everything that decides something draws from one generator, and Trio's own order of tasks from
another with the same seed: the same seed gives the same world, operation by operation.
"""

import logging
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

import apsw
import structlog
import trio

from actors import messages as m
from actors.actor import Mailbox
from actors.host import inotify
from actors.rules.core import Decision
from actors.runner import InlinePool, InlineRunner
from actors.seams import Seams
from actors.supervisor import SupervisorGaveUp
from config.run_limits import ARTIFACT_LIMIT_FILES
from config.settings import SchedulerSettings, ServerSettings, Settings
from headway.model.problem import Refusal
from serve import Headway
from storage.collections import unfinished
from storage.database import DATABASE_NAME, open_writer
from storage.errors import StorageFailed
from tests.imagined import SettableClock
from tests.simulation import tuning
from tests.simulation.clients import Clients
from tests.simulation.closer import Closer
from tests.simulation.collecting import CALLS, SimulatedPool, wrongly_collected
from tests.simulation.disk import Disk
from tests.simulation.faults import Faults, Killed
from tests.simulation.host import SimulatedHost
from tests.simulation.job_types import ADOPTABLE, TYPES, job_types
from tests.simulation.model import Breach, Model
from tests.simulation.shutdown import END_S_MAX, GRACE_S, Door, Signals, end_in_order
from tests.simulation.timing import TICKS_S, Ticks, standing_clock
from web.context import Context

T = TypeVar("T")

CROWD = 5
PATIENCE_S = 40 * 86_400.0
"""Once nothing fails any more all must end within this time; the clock may lie ten days ahead."""

SLOWNESS_S = (0.0, 0.0, 0.0, 0.2)
"""The longest half of a commit, in one life: on a slow disk the next batch gathers."""

CHECKPOINT_PAGES = (10, 100, 200, 400)

DEADLY = (
    Killed,
    StorageFailed,
    SupervisorGaveUp,
    apsw.IOError,
    apsw.FullError,
    apsw.CantOpenError,
)
"""What may end a life. Anything else, as a file that is broken, fails the world."""

LIVES_MAX = 300
COMMITS_MAX = 50_000
"""A world has about 15 lives and 600 commits: one that goes round in circles ends here."""

NUMBERS = count()
CLOSER = Closer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The counts of one world: `faults`, and orderly `ends`, by kind; `asked`: what clients got.

    `collected`: how calls went that read what runs have left.
    """

    jobs: int
    runs: int
    faults: dict[str, int]
    ends: dict[str, int]
    asked: dict[str, int]
    collected: dict[str, int]
    lives: int
    commits: int
    operations: int
    checks: int


class WatchedRunner(InlineRunner):
    """Shows the model every decision at the moment when it is on disk."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def run(self, work: Callable[[], T], stop: Callable[[], None] | None = None) -> T:
        """Call `work`, check its decision, and delay before and after as the disk would."""
        life = self._world.disk.life
        await trio.sleep(self._world.disk_takes_s())
        decided = work()
        if isinstance(decided, Decision) and life == self._world.disk.life:
            self._world.committed(decided)
            if self._world.slowness_s:
                await self._world.on_its_way()
        return decided


class World:
    """One world: see above. `trace` receives a line for each thing that happens."""

    def __init__(self, seed: int, directory: Path, trace: list[str] | None) -> None:
        self.path = directory / "data"
        self.trace = trace
        self.lost: set[str] = set()
        self.lives = 0
        self.mailboxes: list[Mailbox] = []
        self.model = Model()
        self._rng = random.Random(seed)
        self.ticks = Ticks(self._rng.choice(TICKS_S))
        self.disk = Disk(f"simulated-{next(NUMBERS)}", directory / "disk", self._rng)
        self._settings = Settings(
            server=ServerSettings(data_dir=self.path, shutdown_grace_s=GRACE_S),
            scheduler=SchedulerSettings(concurrency=2, max_queued=150),
            job_types=job_types(),
        )
        self._context: Context | None = None
        self._life = trio.CancelScope()
        self._signalled = trio.Event()
        self._detach = False
        self._commit = trio.CancelScope()
        self.collectors = SimulatedPool(self._rng, dict.fromkeys(CALLS, 0))
        self.slowness_s = 0.0
        self._over = False

    # ---- the course of the world -------------------------------------------------------------

    async def run(self) -> Tally:
        """Run the faults and clients, then let every Job end, then check the whole world."""
        self.clock = SettableClock()
        async with trio.open_nursery() as nursery:
            self.host = SimulatedHost(nursery, self._rng)
            self.host.launching = self.model.launching
            self.model.refused_runs = self.host.refused
            self.host.launched = self.model.launched.add
            self.host.sleep = self.ticks.last
            self.clients = Clients(self._rng, self.model, list(TYPES), self.ticks)
            self.faults = Faults(self._rng, self)
            nursery.start_soon(self._live_again_and_again)
            await self.faults.run()
            self.disk.fault = None
            await self._until(lambda: self.clients.done, "NoLostWakeup: clients wait for ever")
            await self._come_to_rest()
            nursery.cancel_scope.cancel()
        self.model.truth(self.host.processes, self.lost, frozenset().union(*self.host.swept))
        return self._tally()

    async def _come_to_rest(self) -> None:
        """Wait, without faults, until every Job has ended by itself."""
        self.note("nothing fails any more")
        while True:
            with suppress(Refusal, AttributeError):
                assert self._context is not None or self._over is False
                await self._context.ask(m.StartScheduler())  # type: ignore[union-attr]
                await self.clients.reload(self._context)  # type: ignore[arg-type]
                break
            await trio.sleep(1)
        self.collectors.is_calm = True
        await self._until(lambda: not self.model.replay.jobs, "NoLostWakeup: some Jobs never end")
        await self._until(self._is_collected, "NoLostWakeup: some collections never end")
        self._over = True
        self.shut_down(detach=False)
        await self._until(lambda: self._context is None, "the server does not stop")

    def _is_collected(self) -> bool:
        """Nothing that runs have left is still to be looked at, or removed."""
        return (
            self._context is not None
            and not unfinished(self._context.reader)
            and not os.listdir(self.path / "runs" / ".trash")
        )

    async def _until(self, reached: Callable[[], bool], otherwise: str) -> None:
        deadline = trio.current_time() + PATIENCE_S
        while not reached():
            if trio.current_time() > deadline:
                raise Breach(otherwise)
            await trio.sleep(8 if trio.current_time() < deadline - PATIENCE_S + 600 else 600)

    # ---- lives -------------------------------------------------------------------------------

    async def _live_again_and_again(self) -> None:
        while not self._over:
            self.lives += 1
            if self.lives > LIVES_MAX:
                raise Breach("NoLostWakeup: one life after the other ends")
            disk_life = self.disk.life
            try:
                await self._live()
            except* DEADLY as group:
                self.note(f"the server died: {leaf(group)!r}")
            finally:
                self._context, self.mailboxes = None, []
                if self.disk.life == disk_life:
                    self.disk.crash()  # whatever it has left open is closed with its process
            await trio.sleep(self._rng.choice((0, 0.1, 1.0, 5.0)))
        self._verify()

    async def _live(self) -> None:
        headway = self._make()
        self.model.begin_life(headway.context.reader)
        self.note(f"life {self.lives}")
        self._signalled = trio.Event()
        self.slowness_s = self._rng.choice(SLOWNESS_S)
        with trio.CancelScope() as self._life:
            async with headway.running() as context:
                self._context = context
                children = headway._supervisor._children
                self.mailboxes = [child.mailbox for child in children]
                async with trio.open_nursery() as crowd:
                    door = Door(crowd)
                    for _ in range(CROWD):
                        crowd.start_soon(self.clients.run, context, door)
                    await self._signalled.wait()
                    await self._shut_down(context, door)

    async def _shut_down(self, context: Context, door: Door) -> None:
        self.note(f"SIGTERM{', --detach' if self._detach else ''}")
        ends, full = self.faults.ends, self.faults.count["disk full"]
        signals = Signals(self._rng, self.model)
        self.model.draining = True
        ends["interrupted"] += 1
        late = trio.current_time() + END_S_MAX
        await end_in_order(context, door, signals, detach=self._detach)
        ends["interrupted"] -= 1
        ends["hurried"] += signals.second
        ends["detached" if self._detach else "shut down"] += 1
        # A full disk lets it leave all programs: their ends could not be written down.
        if self.faults.count["disk full"] == full and self.disk.fault is None:
            if trio.current_time() > late:
                raise Breach("Drained: the server waits longer than the grace")
            self.model.ended_in_order(ADOPTABLE if self._detach else ())
        self.note("it has shut down")

    def shut_down(self, *, detach: bool) -> None:
        """Send SIGTERM to the server, if there is one and it has received none."""
        if not self._signalled.is_set():
            self._detach = detach
            self._signalled.set()

    def end_life(self) -> None:
        """The process is gone at the next moment."""
        self._life.cancel()
        self._commit.shield = False

    def disk_takes_s(self) -> float:
        """How long half a commit lasts, in which the next batch gathers."""
        return self._rng.random() * self.slowness_s

    async def on_its_way(self) -> None:
        """Delay a commit that is on the disk before its answer is returned.

        As on a thread: a cancelled caller waits for its end, unless the whole process dies.
        """
        with trio.CancelScope(shield=True) as self._commit:
            await trio.sleep(self.disk_takes_s())

    def _make(self) -> Headway:
        seams = Seams(
            clock=self.clock,
            random_bytes=self._rng.randbytes,
            writer=WatchedRunner(self),
            readers=(InlineRunner(), InlineRunner()),
            batches=InlineRunner(),
            files=InlinePool(),
            collectors=self.collectors,
            checker=InlineRunner(),
            host=self.host,
            vfs=self.disk.name,
            reserve_bytes=0,
            statvfs=self.host.statvfs,
        )
        headway = Headway(self._settings, seams, {"PATH": "/bin"})
        # In production every 4,000 pages: more than a world writes, so nothing would fail in one.
        pages = self._rng.choice(CHECKPOINT_PAGES)
        headway._connections.writing.execute(f"PRAGMA wal_autocheckpoint = {pages}").fetchall()
        return headway

    # ---- looking -----------------------------------------------------------------------------

    def committed(self, decision: Decision) -> None:
        """The writer has committed."""
        for event in decision.events if self.trace is not None else ():
            self.note(f"    {event.seq} {event.kind} {event.job_id or ''} {event.data}")
        self.model.committed(
            decision.events, self.host.populated(), may_wait=self.host.may_delay_starts
        )
        if self.model.commits > COMMITS_MAX:
            raise Breach("NoLostWakeup: it never comes to rest")

    def note(self, what: str) -> None:
        """Add a line to the trace, if there is one."""
        if self.trace is not None:
            self.trace.append(f"{trio.current_time():10.3f}  {what}")

    def _verify(self) -> None:
        connection = open_writer(self.path / DATABASE_NAME, vfs=self.disk.name)
        self.model.end_world(connection)
        types = {
            name: job_type.model_copy(update={"artifact_limit_files": ARTIFACT_LIMIT_FILES})
            if name in self.clients.missed
            else job_type
            for name, job_type in job_types().items()
        }
        for what in wrongly_collected(
            connection, self.host.processes, self.lost, types, self.path / "runs"
        ):
            raise Breach(f"Collected: {what}")
        connection.close()

    def _tally(self) -> Tally:
        return Tally(
            jobs=self.model.jobs,
            runs=len(self.model.ended),
            faults=self.faults.count,
            ends=self.faults.ends,
            asked=self.clients.answered,
            collected=self.collectors.count,
            lives=self.lives,
            commits=self.model.commits,
            operations=self.disk.operations,
            checks=self.model.checks,
        )


def leaf(error: BaseException) -> BaseException:
    """The first error inside nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Failure(Exception):
    """A world in which something is broken: the seed, and what."""

    def __init__(self, seed: int, what: str) -> None:
        super().__init__(f"seed {seed}: {what}")


def simulate(seed: int, trace: list[str] | None = None) -> Tally:
    """Run one world to its end.

    Raises:
        Failure: an invariant is broken, or the server did something that it never may.
    """
    inotify.close = CLOSER.put
    tuning.start_world()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    trio._core._run._r.seed(seed)
    directory = Path(tempfile.mkdtemp(prefix=f"simulated-{seed}-", dir=memory()))
    world = World(seed, directory, trace)
    try:
        return trio.run(world.run, clock=standing_clock())
    except BaseException as error:
        if isinstance(leaf(error), KeyboardInterrupt):
            raise
        raise Failure(seed, repr(leaf(error))) from error
    finally:
        tuning.end_world()
        inotify.close = os.close
        world.disk.unregister()
        shutil.rmtree(directory, ignore_errors=True)


def memory() -> str | None:
    """A file system in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
