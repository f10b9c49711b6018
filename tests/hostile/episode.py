"""One data directory, some dozens of hostile runs and the well-behaved ones beside them.

What is chosen follows from a seed; what the machine makes of it does not. So a seed repeats the
plan of an episode, and mostly what it found.
"""

import ctypes
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import trio

from actors.host import process_tree
from actors.host.children import PR_SET_CHILD_SUBREAPER
from tests.crash.episode import command_line, leaves
from tests.crash.server import Breach, KilledServer, reap_strays
from tests.hostile.calm import Calm, Seen
from tests.hostile.hostility import Hostility, look_around
from tests.hostile.lives import Lives
from tests.hostile.program import plan, write_config
from tests.hostile.pulse import Sample, read_samples
from tests.hostile.victim import Victims
from tests.server_process import ROOT, Launcher

HOSTILE_AT_ONCE = 2
CALM_AT_ONCE = 2
HEALTH_MAX_S = 0.05
STOP_MAX_S = 25.0
MEMORY_BYTES_MAX = 400 << 20
ATTEMPTS = 3
"""A slow answer may be the machine's doing; one that is slow so often is not."""
SLOW_MAX = 2
"""So many slow answers are looked into, the slowest first."""
SUSPECTS_MAX = 6
"""And so many of the hostile runs that were there, or had just ended."""
SUSPECTED_BEFORE_S = 2.0
LIFE_RUNS = (8, 25)
"""After so many hostile runs a life ends."""
KILLED = 0.5
"""So many of the lives end by a KILL."""


@dataclass(slots=True)
class Totals:
    """What an episode, or all of them, came to."""

    hostile: int = 0
    deeds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    calm: int = 0
    cancelled: int = 0
    lives: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    health: list[float] = field(default_factory=list)
    """How long each answer took."""
    longest: dict[str, float] = field(default_factory=dict)
    """The longest of each kind of wait."""


def start_pulse(directory: Path) -> subprocess.Popen[bytes]:
    """The process that asks for `/health`."""
    command = [sys.executable, "-m", "tests.hostile.pulse", str(directory)]
    return subprocess.Popen(command, cwd=ROOT)


@dataclass(slots=True)
class Episode:
    """Lives on one data directory."""

    launcher: Launcher
    directory: Path
    seed: str
    rng: random.Random = field(init=False)
    lives: Lives = field(init=False)
    hostility: Hostility = field(init=False)
    calm: Calm = field(init=False)
    seen: Seen = field(default_factory=Seen)
    totals: Totals = field(default_factory=Totals)
    seeds: Iterator[str] = field(default_factory=lambda: iter(()))

    def __post_init__(self) -> None:
        write_config(self.directory, ROOT)
        self.rng = random.Random(self.seed)
        self.lives = Lives(KilledServer(self.launcher, self.directory))
        self.hostility = Hostility(self.lives, self.directory)
        self.calm = Calm(self.lives, random.Random(f"{self.seed} calm"), self.seen)

    async def run(self, seeds: list[str]) -> None:
        """Play all of these hostile runs.

        Raises:
            Breach: something that must hold did not; its text names the seed.
        """
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        own = self.lives.server.own
        victims = Victims(self.directory, random.Random(f"{self.seed} victims"))
        pulse = start_pulse(self.directory)
        own |= {victims.pid, pulse.pid}
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reap_strays, own)
                await self._play(seeds)
                self._settle(victims)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            breaches, others = group.split(Breach)
            if breaches is None or others is not None:
                raise
            causes = "\n".join(map(str, leaves(breaches)))
            raise Breach(f"seed {self.seed} in {self.directory}\n{causes}") from None
        finally:
            victims.end()
            pulse.kill()
            pulse.wait()
            self._sum_up()

    async def _play(self, seeds: list[str]) -> None:
        self.seeds = iter(seeds)
        await self.lives.begin("--detach")
        over = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look_around, self.lives, self.hostility, random.Random(self.seed))
            nursery.start_soon(self._end_lives, len(seeds))
            async with trio.open_nursery() as jobs:
                for number in range(CALM_AT_ONCE):
                    jobs.start_soon(self.calm.run, f"{self.seed}/calm-{number}", over)
                async with trio.open_nursery() as hostile:
                    for _ in range(HOSTILE_AT_ONCE):
                        hostile.start_soon(self._play_hostile)
                over.set()
            nursery.cancel_scope.cancel()
        if self.lives.is_down:  # cancelled in the middle of an end
            await self.lives.begin()
        for ended in self.seen.ended:
            await self.calm.compare(*ended)
        await self._try_slow_ones_again()
        await self.lives.terminate()

    async def _play_hostile(self) -> None:
        for seed in self.seeds:
            await self.hostility.one(seed, attempt=self.totals.hostile)
            self.totals.hostile += 1

    async def _end_lives(self, runs: int) -> None:
        """End the server now and then, in one way or another. Never returns."""
        while True:
            last = self.totals.hostile + self.rng.randint(*LIFE_RUNS)
            while self.totals.hostile < last:  # noqa: ASYNC110 - counted by other tasks
                await trio.sleep(0.01)
            await trio.sleep(self.rng.random() * 0.5)
            # Half of an end would leave its process without an owner.
            with trio.CancelScope(shield=True):
                if self.rng.random() < KILLED:
                    await self.lives.kill()
                else:
                    await self.lives.terminate()
                self.totals.lives[self.lives.ends[-1].kind] += 1
                await trio.sleep(self.rng.choice((0, 0, 0.5)))
                await self.lives.begin(*self.rng.choice(((), ("--detach",))))

    # ---- the event loop ----------------------------------------------------------------------

    def _slow(self, after: float = 0.0) -> list[Sample]:
        """Answers of living servers that took too long for reasons of their own."""
        return [
            sample
            for sample in read_samples(self.directory)
            if sample.at > after
            and (sample.own_s > HEALTH_MAX_S or not sample.answered)
            and self._must_answer(sample)
        ]

    def _must_answer(self, sample: Sample) -> bool:
        end = sample.at + sample.took_s
        return any(begin <= sample.at and end <= over for begin, over in self.lives.answering)

    async def _try_slow_ones_again(self) -> None:
        """What ran beside a slow answer is played again; slow every time is a breach.

        Raises:
            Breach: an answer took too long, in all attempts.
        """
        for sample in sorted(self._slow(), key=lambda one: -one.own_s)[:SLOW_MAX]:
            suspects, attempts = self._suspects(sample), [sample]
            while len(attempts) < ATTEMPTS:
                begin = time.monotonic()
                self.seeds = iter(suspects)
                async with trio.open_nursery() as nursery:
                    for _ in range(HOSTILE_AT_ONCE):
                        nursery.start_soon(self._play_hostile)
                if not (again := self._slow(begin)):
                    break
                attempts.append(max(again, key=lambda one: one.own_s))
            else:
                deeds = [f"  {seed}: {plan(seed)}" for seed in suspects]
                raise Breach("\n".join(["health:", *map(str, attempts), "beside", *deeds]))

    def _suspects(self, sample: Sample) -> list[str]:
        end, begin = sample.at + sample.took_s, sample.at - SUSPECTED_BEFORE_S
        there = [span for span in self.hostility.spans if span.begin < end and span.end > begin]
        latest = sorted(there, key=lambda span: -span.end)[:SUSPECTS_MAX]
        return sorted({span.seed for span in latest})

    # ---- the end -----------------------------------------------------------------------------

    def _settle(self, victims: Victims) -> None:
        """What must be true when all is over."""
        self.lives.server.verify()
        if changes := victims.changes():
            raise Breach("changed outside of the run directories:\n" + "\n".join(changes))
        for end in self.lives.ends:
            if end.took_s > STOP_MAX_S:
                raise Breach(f"the server needed {end.took_s:.1f} s for its end: {end}")
        if self.lives.memory_bytes > MEMORY_BYTES_MAX:
            raise Breach(f"the server used {self.lives.memory_bytes >> 20} MiB of memory")
        left = [
            (seen.pid, process_tree.run_id_of(seen.pid), command_line(seen.pid))
            for seen in process_tree.with_descendants([os.getpid()])
            if seen.pid not in (os.getpid(), *self.lives.server.own)
            and process_tree.run_id_of(seen.pid) is not None
        ]
        if left:
            raise Breach(f"processes are left: {left}")

    def _sum_up(self) -> None:
        totals, lives = self.totals, self.lives
        totals.deeds, totals.ends = self.hostility.deeds, self.hostility.ends
        totals.calm, totals.cancelled = self.seen.jobs, self.seen.cancelled
        totals.requests = lives.requests
        samples = [sample for sample in read_samples(self.directory) if self._must_answer(sample)]
        totals.health = [sample.took_s for sample in samples]
        totals.longest = {
            "health": max(totals.health, default=0.0),
            "health without the machine's share": max((s.own_s for s in samples), default=0.0),
            "duration beyond a program's own": self.seen.late_s,
            "collection": self.seen.collected_s,
            "cancel": self.seen.cancel_s,
            "hostile Job": self.hostility.longest_s,
            "stop": max((e.took_s for e in lives.ends if e.kind != "kill"), default=0.0),
            "memory in MiB": lives.memory_bytes / (1 << 20),
        }
