"""Episode after episode, on several processes at once, and the sum of them all."""

import ctypes
import os
import statistics
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import trio

from tests.crash.campaign import end_all
from tests.crash.server import Breach
from tests.hostile.episode import Episode, Totals
from tests.hostile.victim import remove_tree
from tests.server_process import ROOT, Launcher

RUNS_PER_EPISODE = 42
PR_SET_DUMPABLE, PR_CAPBSET_DROP = 4, 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
NOBODY = 65_534


def play(seed: str, seeds: list[str], root: Path) -> tuple[Totals, str]:
    """One episode in this process: what it came to, and what is wrong."""
    directory = root / seed.replace("/", "-")
    give_up_power(root)
    with Launcher() as launcher:
        episode = Episode(launcher, directory, seed)
        try:
            trio.run(episode.run, seeds)
        except Breach as breach:
            return episode.totals, str(breach)
        except Exception:  # noqa: BLE001 - a fault of these tests; the other episodes go on
            return episode.totals, f"seed {seed} in {directory}\n{traceback.format_exc()}"
        finally:
            end_all(launcher.pid)
    return episode.totals, ""


def play_all(
    runs: int, seed: str, workers: int, root: Path, deed: str | None, keep: bool
) -> tuple[Totals, list[str]]:
    """All episodes, `workers` at a time. `seed` may be that of one episode (`…/3`)."""
    seeds = [f"{seed}/{number}" for number in range(-(-runs // RUNS_PER_EPISODE))]
    if "/" in seed:
        seeds = [seed]
    totals, breaches = Totals(), list[str]()
    # A fresh interpreter for each episode: one that has dropped a capability never has it again.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        played = []
        for number, one in enumerate(seeds):
            count = min(RUNS_PER_EPISODE, runs - number * RUNS_PER_EPISODE)
            hostile = [f"{one}/{index}" + (f"/{deed}" if deed else "") for index in range(count)]
            played.append((one, pool.submit(play, one, hostile, root)))
        for one, future in played:
            sums, breach = future.result()
            add(totals, sums)
            if breach:
                print(f"BREACH {breach}", flush=True)
                breaches.append(breach)
            elif not keep:
                remove_tree(root / one.replace("/", "-"))
    return totals, breaches


def give_up_power(root: Path) -> None:
    """Be an account of no one's, so that no hostile program can harm the host.

    Where that account may not read this code: without root's way past the modes of files, at least.
    """
    if os.geteuid() != 0:
        return
    prctl = ctypes.CDLL(None).prctl
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    interpreter = Path(sys.executable).resolve()
    needed = (*root.parents, *ROOT.parents, ROOT, Path(sys.prefix), interpreter)
    needed += tuple(interpreter.parents)
    if all(path.stat().st_mode & 0o005 == 0o005 for path in needed):
        os.chown(root, NOBODY, NOBODY)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # so that /proc shows this process to itself


def add(totals: Totals, one: Totals) -> None:
    """Sum up."""
    totals.hostile += one.hostile
    totals.deeds += one.deeds
    totals.ends += one.ends
    totals.calm += one.calm
    totals.cancelled += one.cancelled
    totals.lives += one.lives
    totals.requests += one.requests
    totals.health += one.health
    for kind, value in one.longest.items():
        totals.longest[kind] = max(value, totals.longest.get(kind, 0.0))


def summary(totals: Totals, breaches: list[str], seconds: float, seed: str) -> str:
    """The last lines."""
    deeds = ", ".join(f"{name} {n}" for name, n in sorted(totals.deeds.items()))
    ends = ", ".join(f"{name} {n}" for name, n in sorted(totals.ends.items()))
    lives = ", ".join(f"{kind} {n}" for kind, n in sorted(totals.lives.items()))
    longest = ", ".join(f"{kind} {value:.3f}" for kind, value in totals.longest.items())
    p99_ms = statistics.quantiles([*totals.health, 0, 0], n=100)[98] * 1e3
    return (
        f"hostile: {deeds}\nlongest in s: {longest}\n"
        f"{totals.hostile} hostile runs in {seconds:.0f} s ({ends}), {totals.calm} well-behaved "
        f"Jobs and {totals.cancelled} cancelled ones beside them; servers ended: {lives}; "
        f"{totals.requests} requests; {len(totals.health)} answers of /health, "
        f"p99 {p99_ms:.1f} ms; {len(breaches)} broken; seed {seed}"
    )
