"""Find a run of an earlier server again: adopt what lives, sweep what carries its id."""

import ctypes
import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from actors.host import process_tree
from actors.host.children import PR_SET_CHILD_SUBREAPER
from actors.host.shim import ExitRecord
from tests.actors.host.workshop import (
    DEADLINE_S,
    ESCAPES,
    PATH,
    RUN_1,
    RUN_2,
    SEAL,
    Workshop,
    lives,
)
from tests.server_process import ROOT


async def test_a_sweep_buries_a_child_without_a_shim(shop: Workshop) -> None:
    process = shop.start("sleep", "60", shim=False)
    assert process.exit_record() == ExitRecord(pid=process.pid)
    process.close()  # its executor has crashed
    with trio.fail_after(DEADLINE_S):
        await shop.host.sweep(frozenset({RUN_1}), 0, trio.Event())
    assert shop.host.children.leaders == {}
    assert shop.host.children.strays() == []
    assert process_tree.look(process.pid) is None


async def test_a_sweep_finds_in_the_fence_what_hides_its_id(shop: Workshop) -> None:
    """As when a program ended while no server was there, and left a daemon without environment."""
    if shop.host.cgroups is None:
        pytest.skip("without a fence the owner of such a process is unknown")
    process = shop.shell(ESCAPES["clean"])
    child = int((await shop.said())[0])
    process.fence()
    for seen in process_tree.with_descendants([process.pid]):
        if seen.pid != child:
            process_tree.send(seen, signal.SIGKILL)
    await process.wait()
    later = shop.another_host()
    with trio.fail_after(DEADLINE_S):
        await later.sweep(frozenset({RUN_1}), 0, trio.Event())
    assert not lives(child)
    assert not shop.host.cgroups.of_run(RUN_1).path.exists()


async def test_a_living_run_is_adopted(shop: Workshop) -> None:
    shop.files(RUN_1).create()
    os.mkfifo(shop.files(RUN_1).root / "go")
    process = shop.shell("read -r x < ../go; exit 6")
    shop.host.children.leaders.clear()
    await shop.begun()
    later = shop.another_host()
    found = later.adopt(RUN_1, shop.record())
    assert found is not None
    assert found.pid == process.pid
    (shop.files(RUN_1).root / "go").write_text("go\n")
    await shop.end(found)
    found.close()
    assert shop.record().exit_code == 6
    assert later.children.leaders == {}


async def test_a_run_without_a_word_is_found_by_its_id(shop: Workshop) -> None:
    process = shop.shell("exec sleep 60")
    await shop.begun()
    found = shop.another_host().adopt(RUN_1, ExitRecord())
    assert found is not None
    assert found.pid == process.pid
    assert shop.another_host().adopt(RUN_2, ExitRecord()) is None


async def test_what_only_has_the_same_id_is_not_adopted(shop: Workshop) -> None:
    process = shop.shell("exec sleep 60")
    other = shop.shell("exec sleep 60", run_id=RUN_2)
    await shop.begun()
    later = shop.another_host()
    descriptors = len(os.listdir("/proc/self/fd"))
    assert later.adopt(RUN_1, ExitRecord(pid=other.pid)) is None
    assert later.adopt(RUN_1, ExitRecord(pid=os.getpid())) is None
    assert later.adopt(RUN_1, ExitRecord(pid=2**22 + 1)) is None
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert later.adopt(RUN_1, ExitRecord(pid=process.pid)) is not None


async def test_the_dead_are_not_adopted(shop: Workshop) -> None:
    process = shop.shell("exit 0")
    with trio.fail_after(DEADLINE_S):
        await process.wait()
    assert shop.another_host().adopt(RUN_1, shop.record()) is None


async def test_a_sweep_ends_what_carries_the_id(shop: Workshop) -> None:
    process = shop.shell(ESCAPES["session"])
    other = shop.shell("exec sleep 60", run_id=RUN_2)
    child = int((await shop.said())[0])
    with trio.fail_after(DEADLINE_S):
        await shop.host.sweep(frozenset({RUN_1, "run-none"}), 0, trio.Event())
    assert not lives(child)
    assert not lives(process.pid)
    assert lives(other.pid)


async def test_a_run_of_a_server_that_has_died_is_adopted_and_ended(
    shop: Workshop, tmp_path: Path
) -> None:
    """The former parent is gone, so the run is init's child, and only init can reap it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    server = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from actors.host.launch import Launch
from actors.host.linux_host import LinuxHost
root = Path({str(tmp_path)!r}) / {RUN_1!r}
(root / "work").mkdir(parents=True)
LinuxHost(None).launch(Launch(run_id={RUN_1!r}, argv=["sh", "-c", {ESCAPES["session"]!r}],
    environment={{"PATH": {PATH!r}, "HEADWAY_RUN_ID": {RUN_1!r}}}, work_dir=root / "work",
    log=root / "log", exit_file=root / "exit", seal={SEAL!r}))
"""
    with trio.fail_after(DEADLINE_S):
        await trio.run_process([sys.executable, "-c", server])
    child = int((await shop.said())[0])
    found = shop.host.adopt(RUN_1, shop.record())
    assert found is not None
    assert lives(child)
    found.terminate()
    await shop.end(found)
    found.close()
    assert not lives(child)
    assert shop.record().signal == signal.SIGTERM
