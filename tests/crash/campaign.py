"""Many episodes, on several processes at once, and their totals."""

import os
import shutil
import signal
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import trio

from actors.host import process_tree
from tests.crash.episode import Episode, Totals
from tests.crash.server import Breach, can_trace
from tests.server_process import Launcher

DEATHS_PER_EPISODE = 12


def play(seed: str, deaths: int, root: Path, trace: bool) -> tuple[Totals, str]:
    """Run one episode in this process: its totals, and what is wrong."""
    directory = root / seed.replace("/", "-")
    with Launcher() as launcher:
        episode = Episode(launcher, directory, seed, trace)
        try:
            trio.run(episode.run, deaths)
        except Breach as breach:
            return episode.totals, str(breach)
        except Exception:  # noqa: BLE001 - a fault of these tests; the other episodes go on
            return episode.totals, f"seed {seed} in {directory}\n{traceback.format_exc()}"
        finally:
            end_all(launcher.pid)
    shutil.rmtree(directory)
    return episode.totals, ""


def end_all(spared: int) -> None:
    """KILL servers and programs that a breach has left; normally there are none."""
    for seen in process_tree.with_descendants([os.getpid()]):
        if seen.pid not in (os.getpid(), spared):
            with suppress(ProcessLookupError):
                os.kill(seen.pid, signal.SIGKILL)


def play_all(cycles: int, seed: str, workers: int, root: Path) -> tuple[Totals, list[str]]:
    """Run all episodes, `workers` at a time."""
    trace = can_trace()
    if not trace:
        print("strace cannot be used here: no kills at chosen system calls")
    whole, rest = divmod(cycles, DEATHS_PER_EPISODE)
    deaths = [DEATHS_PER_EPISODE] * whole + [rest] * (rest > 0)
    totals, breaches = Totals(), list[str]()
    # A new interpreter for each worker, because a process with threads must not be forked.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        played = [
            pool.submit(play, f"{seed}/{number}", n, root, trace) for number, n in enumerate(deaths)
        ]
        for future in played:
            one, breach = future.result()
            add(totals, one)
            if breach:
                print(f"BREACH {breach}", flush=True)
                breaches.append(breach)
    return totals, breaches


def add(totals: Totals, one: Totals) -> None:
    """Add totals."""
    totals.kills += one.kills
    totals.syscalls += one.syscalls
    totals.accepted += one.accepted
    totals.programs += one.programs
    totals.requests += one.requests
    totals.lives += one.lives


def summary(totals: Totals, breaches: list[str], seconds: float, seed: str) -> str:
    """The last line. `wrong`: episodes in which something else did not hold."""
    found = Counter[str]()
    for breach in breaches:
        names = [name for name in ("lost", "twice", "orphans") if f"\n{name}: " in breach]
        found.update(names or ["wrong"])
    kills = ", ".join(f"{kind} {n}" for kind, n in sorted(totals.kills.items()))
    return (
        f"{totals.cycles} kills of a server in {seconds:.0f} s ({kills}), "
        f"{sum(totals.syscalls.values())} of them at {len(totals.syscalls)} system calls; "
        f"{totals.requests} requests, {totals.accepted} Jobs accepted, "
        f"{totals.programs} programs run; lost {found['lost']}, twice {found['twice']}, "
        f"orphans {found['orphans']}, wrong {found['wrong']}; seed {seed}"
    )
