"""The server's children: orphans of programs are found, ended and reaped."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from actors.host import children, process_tree
from tests.actors.host.workshop import DEADLINE_S, RUN_2, Workshop, lives


async def test_dead_orphans_are_buried(shop: Workshop, nursery: trio.Nursery) -> None:
    nursery.start_soon(shop.host.run)
    await trio.testing.wait_all_tasks_blocked()
    shop.shell("(setsid sh -c 'echo $$' &) ; exec sleep 60")
    orphan = int((await shop.said())[0])
    with trio.fail_after(DEADLINE_S):
        while process_tree.look(orphan) is not None:  # noqa: ASYNC110 - the kernel sends no signal
            await trio.sleep(0.002)


async def test_between_two_looks_the_host_is_deaf_and_python_keeps_its_handler(
    shop: Workshop, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that comes while Python puts its handler away is an error in the server's log."""
    monkeypatch.setattr(children, "REAP_PAUSE_S", 3600)
    nursery.start_soon(shop.host.run)
    await trio.testing.wait_all_tasks_blocked()
    assert is_caught(signal.SIGCHLD)
    handler = signal.getsignal(signal.SIGCHLD)
    os.kill(os.getpid(), signal.SIGCHLD)
    await trio.testing.wait_all_tasks_blocked()
    assert not is_caught(signal.SIGCHLD)
    assert signal.getsignal(signal.SIGCHLD) is handler


def is_caught(number: int) -> bool:
    """Whether this process has a handler for the signal: see proc_pid_status(5)."""
    (caught,) = re.findall(r"SigCgt:\s*(\w+)", Path("/proc/self/status").read_text())
    return bool(int(caught, 16) >> number - 1 & 1)


async def test_a_run_that_is_just_starting_is_nobodys_orphan(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shop.shell("exec sleep 60")
    real: Callable[[int], int] = os.pidfd_open
    taken: list[int] = []

    def look_meanwhile(pid: int) -> int:
        # The kernel call lets go of the interpreter's lock: here the other thread runs.
        taken.extend(first._orphans())
        return real(pid)

    monkeypatch.setattr(os, "pidfd_open", look_meanwhile)
    second = shop.shell("exec sleep 60", run_id=RUN_2)
    assert second.pid not in taken


async def test_an_orphan_in_the_middle_of_an_exec_is_looked_at_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.shell("exec sleep 60", run_id=RUN_2)  # so that not every stray is the first one's
    process = shop.shell("setsid sh -c 'echo $$; exec sleep 60' & wait", shim=False)
    orphan = int((await shop.said())[0])
    real = process_tree.run_id_of
    looks: list[int] = []

    def run_id_of(pid: int) -> str | None:
        looks.append(pid)
        return None if pid == orphan and looks.count(pid) < 4 else real(pid)

    monkeypatch.setattr(process_tree, "run_id_of", run_id_of)
    os.kill(process.pid, signal.SIGKILL)
    await shop.end(process)
    assert not lives(orphan)
    assert looks.count(orphan) >= 4


async def test_what_a_former_servers_run_left_is_looked_for_more_than_once(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = shop.shell("exec sleep 60")
    first: Iterator[list[process_tree.ProcessState]] = iter(
        [[]]
    )  # in the middle of an exec it is not found
    real = process._members
    monkeypatch.setattr(process, "_child", False)
    monkeypatch.setattr(process, "_members", lambda: [] if next(first, None) == [] else real())
    await process.kill()
    monkeypatch.undo()
    assert not lives(process.pid)


async def test_who_hides_for_ever_is_not_waited_for_for_ever(shop: Workshop) -> None:
    shop.shell("exec sleep 60", run_id=RUN_2)
    process = shop.shell("env -i setsid sleep 60 & echo $!; sleep 0.05")
    hidden = int((await shop.said())[0])
    await shop.end(process)
    os.kill(hidden, signal.SIGKILL)
