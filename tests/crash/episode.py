"""One data directory and its dozen or so kills, then an orderly end at which all figures must
agree.

The choices (how each life ends, when, what the clients send) come from a seed; the effects on the
machine do not. So a seed repeats the plan of an episode, and mostly its findings.
"""

import ctypes
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from actors.host import process_tree
from actors.host.children import PR_SET_CHILD_SUBREAPER
from tests.crash.check import TERMINAL, Checker, Victims, counts
from tests.crash.client import Client, Journal, Wire
from tests.crash.migration import MIGRATION, know_it
from tests.crash.program import Tally, write_config
from tests.crash.server import Breach, KillAt, KilledServer, Life, reap_strays
from tests.server_process import Launcher

CLIENTS = 6
LOAD_MAX_S = 0.6
STRIKES_MAX = 3
SETTLE_TIMEOUT_S = 60.0
TRACED_LOAD_MAX_S = 1.0
LOOK_S = 0.01
CALLS = {
    "pwrite64": 120,
    "fdatasync": 40,
    "openat": 150,
    "mkdir": 12,
    "close": 200,
    "fcntl": 300,
    "unlink": 6,
    "rename": 10,
    "pidfd_open": 12,
    "waitid": 12,
    "wait4": 12,
    "execve": 1,
    "sendto": 60,
    "write": 80,
    "ftruncate": 2,
    "getdents64": 20,
}
"""The system calls at which a server is killed, and within how many calls of one thread."""
PLANS = {"server": 44, "syscall": 22, "starting": 18, "shutdown": 8, "together": 8}
MIGRATING = 0.4
"""The probability that a life that is killed while it starts has a newer schema."""


NO_SERVER = ("shim", "program", "shim or program at a system call")
"""Kills of processes other than servers."""


@dataclass(slots=True)
class Totals:
    """The totals of an episode, or of all."""

    kills: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    programs: int = 0
    requests: int = 0
    lives: int = 0
    syscalls: Counter[str] = field(default_factory=Counter)

    @property
    def cycles(self) -> int:
        """How often a server was killed."""
        return sum(n for kind, n in self.kills.items() if kind not in NO_SERVER)


@dataclass(slots=True)
class Episode:
    """Lives on one data directory. `trace`: whether strace may be used."""

    launcher: Launcher
    directory: Path
    seed: str
    trace: bool
    rng: random.Random = field(init=False)
    server: KilledServer = field(init=False)
    journal: Journal = field(default_factory=Journal)
    victims: Victims = field(default_factory=Victims)
    totals: Totals = field(default_factory=Totals)
    client: Client = field(init=False)
    checker: Checker = field(init=False)

    def __post_init__(self) -> None:
        write_config(self.directory, sys.executable)
        self.rng = random.Random(self.seed)
        self.server = KilledServer(self.launcher, self.directory)
        self.client = Client(random.Random(f"{self.seed} client"), self.journal)
        tally = Tally(self.directory / "tally")
        self.checker = Checker(self.server.data_dir, tally, self.journal, self.victims, know_it())

    async def run(self, deaths: int) -> None:
        """Run so many lives that are killed, then an orderly one.

        Raises:
            Breach: a guarantee was broken; its text names the seed.
        """
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reap_strays, self.server.own)
                while self.totals.cycles < deaths:
                    await self._life(self._plan())
                await self._last_life()
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            breaches, others = group.split(Breach)
            if breaches is None or others is not None:
                raise
            shown = "\n".join(map(str, leaves(breaches)))
            raise Breach(f"seed {self.seed} in {self.directory}\n{shown}") from None
        finally:
            self.totals.accepted = len(self.journal.accepted())
            self.totals.programs = len(self.checker.tally.starts)
            self.totals.requests = self.journal.requests

    def _plan(self) -> str:
        plan = self.rng.choices(list(PLANS), list(PLANS.values()))[0]
        if not self.journal.requests and self.rng.random() < 0.5:
            plan = "starting"  # while the database is made
        return "server" if plan == "syscall" and not self.trace else plan

    # ---- a life ------------------------------------------------------------------------------

    async def _life(self, plan: str) -> None:
        """One life from its start to its kill."""
        self.totals.lives += 1
        kill_at = None
        if plan == "starting":
            if self.rng.random() < MIGRATING:
                # From now on: a migration that has begun must be completed by a later life.
                self.server.seams["migration"] = MIGRATION
            if self.trace and self.rng.random() < 0.5:
                kill_at = self._some_call()
        migrates = self.checker.migrates("migration" in self.server.seams)
        # Execute the command once an episode; it does not have the migration.
        dear = self.totals.lives == 2 and kill_at is None and not self.server.seams
        life = self.server.begin(kill_at, execute=dear)
        async with trio.open_nursery() as nursery:
            if plan == "starting":
                nursery.start_soon(self._kill_soon, life)
            ready = await self.server.ready(life)
            nursery.cancel_scope.cancel()
        if ready:
            await self._under_load(life, plan)
        status = await self._reap(life)
        if status != -signal.SIGKILL and not (plan == "shutdown" and status == 0):
            raise Breach(f"it ended by itself with {status}:\n{life.stderr()[-3000:]}")
        if not ready:
            plan = "migration" if migrates else "recovery"
        elif life.was_hit:
            plan = "syscall"
        elif plan in ("syscall", "starting"):
            plan = "server"
        self.totals.kills[plan] += 1
        if life.kill_at is not None and life.was_hit:
            self.totals.syscalls[life.kill_at.call] += 1
        await self._while_down()

    def _some_call(self) -> KillAt:
        """Any call, mostly an early one."""
        call = self.rng.choice(list(CALLS))
        return KillAt(call, round(CALLS[call] ** self.rng.random()))

    async def _kill_soon(self, life: Life) -> None:
        await trio.sleep(self.rng.random() * 0.25)
        life.send(signal.SIGKILL)

    async def _reap(self, life: Life) -> int:
        status = await self.server.reap(life)
        if life.tracer is not None:
            others = self.server.others_killed(life)
            self.victims.unnamed += others
            self.totals.kills["shim or program at a system call"] += others
        return status

    async def _under_load(self, life: Life, plan: str) -> None:
        """Check, then send requests and kill processes until the end of this life."""
        if life.tracer is None:
            self._look()
            if plan == "syscall":
                await self.server.trace(life, self._some_call())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.client.settle_open, life.url)
            if self.journal.moving is not True:
                nursery.start_soon(self.client.resume, life.url)
            for _ in range(CLIENTS):
                nursery.start_soon(self.client.drive, life.url)
            nursery.start_soon(self._strike, life)
            nursery.start_soon(self._end, life, plan)
            await life.until_ended()
            # The clients end by themselves: the last responses are still in the sockets.

    async def _end(self, life: Life, plan: str) -> None:
        longest_s = LOAD_MAX_S if life.tracer is None else TRACED_LOAD_MAX_S
        with trio.move_on_after(0.05 + self.rng.random() * longest_s):
            await life.until_ended()
        if plan == "shutdown":
            life.send(signal.SIGTERM)
            await trio.sleep(self.rng.random() * 0.3)
        if plan == "together":
            for run_id, shim in self._shims():
                self._kill(run_id, shim, whole=True)
        life.send(signal.SIGKILL)

    def _look(self) -> None:
        if found := self.checker.look():
            raise Breach(str(found))

    # ---- shims and programs ------------------------------------------------------------------

    async def _strike(self, life: Life) -> None:
        """KILL a shim or a program now and then."""
        for _ in range(self.rng.randint(0, STRIKES_MAX)):
            with trio.move_on_after(self.rng.random() * LOAD_MAX_S):
                await life.until_ended()
            self._strike_one()

    def _strike_one(self) -> None:
        if shims := self._shims():
            run_id, shim = self.rng.choice(shims)
            self._kill(run_id, shim, whole=self.rng.random() < 0.5)

    def _kill(self, run_id: str, shim: int, *, whole: bool) -> None:
        """KILL the shim (`whole`), or the program below it."""
        programs = process_tree.children(shim)
        if whole:
            self.victims.shims.add(run_id)
            self.totals.kills["shim"] += 1
            targets = [shim]
        elif programs:
            self.victims.programs.add(run_id)
            self.totals.kills["program"] += 1
            targets = programs
        else:
            return
        for pid in targets:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _shims(self) -> list[tuple[str, int]]:
        """(run id, process id) of every run's leader that lives now."""
        found = []
        for seen in process_tree.with_descendants([os.getpid()]):
            run_id = process_tree.run_id_of(seen.pid) if seen.session == seen.pid else None
            if run_id is not None and b"headway-shim" in command_line(seen.pid):
                found.append((run_id, seen.pid))
        return found

    async def _while_down(self) -> None:
        """Wait or kill a program while there is no server."""
        if self.rng.random() < 0.5:
            await trio.sleep(self.rng.random() * 0.3)
        if self.rng.random() < 0.15:
            self._strike_one()

    # ---- the end -----------------------------------------------------------------------------

    async def _last_life(self) -> None:
        """Let everything end, compare all figures, and leave no process behind."""
        self.totals.lives += 1
        life = self.server.begin()
        if not await self.server.ready(life):
            raise Breach("the last life ended by itself")
        self._look()
        await self.client.settle_open(life.url)
        await self.client.resume(life.url)
        if self.journal.moving is not True:
            raise Breach("the scheduler cannot be started")
        await self._until_settled(life)
        if found := self.checker.look(settled=True):
            raise Breach(str(found))
        wire = Wire(life.url)
        shown = (await wire.ask("GET", "/scheduler/status")).json()["cumulative_stats"]
        await wire.close()
        self._compare(shown)
        life.send(signal.SIGTERM)
        if (status := await self._reap(life)) != 0:
            raise Breach(f"the last life ended with {status}")
        self._no_orphans()
        self.server.verify()

    async def _until_settled(self, life: Life) -> None:
        deadline = trio.current_time() + SETTLE_TIMEOUT_S
        while True:
            now = counts(self.server.data_dir)
            if set(now["jobs"]) <= TERMINAL and "RUNNING" not in now["runs"]:
                return
            if trio.current_time() > deadline or life.ended:
                raise Breach(f"it does not come to an end: {now}\n{life.stderr()[-3000:]}")
            await trio.sleep(LOOK_S)

    def _compare(self, shown: dict[str, int]) -> None:
        """Compare the totals of the API with a count of the rows."""
        counted = counts(self.server.data_dir)
        runs, jobs = counted["runs"], counted["jobs"]
        expected = {
            "total_executed": sum(runs.values()),
            "succeeded": runs.get("COMPLETED", 0),
            "failed": runs.get("FAILED", 0),
            "cancelled": jobs.get("CANCELLED", 0),
            "skipped": runs.get("SKIPPED", 0),
        }
        if shown != expected:
            raise Breach(f"stats: shown {shown}, counted {expected}")

    def _no_orphans(self) -> None:
        left = [
            (seen.pid, command_line(seen.pid))
            for seen in process_tree.with_descendants([os.getpid()])
            if seen.pid not in (os.getpid(), self.launcher.pid)
        ]
        if left:
            raise Breach(f"orphans: {left}")


def command_line(pid: int) -> bytes:
    """Its arguments, separated by NUL; empty when it has gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def leaves(group: BaseExceptionGroup[Breach]) -> Iterator[Breach]:
    """The breaches inside nested groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
