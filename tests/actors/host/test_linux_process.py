"""A running program and everything it started: TERM, grace, KILL, and what is left behind."""

import os
import signal

import pytest
import trio

from actors.host import process_tree
from headway.model.run import Left
from tests.actors.host.workshop import DEADLINE_S, ESCAPES, RUN_1, RUN_2, Workshop, lives

LEAVES = {
    "that end on TERM": ("sh -c 'echo x; exec sleep 60' &", 0),
    "that ignore it": ("sh -c 'trap \"\" TERM; echo x; exec sleep 60' &", 2),
    "that clean up": (
        # Opened to read and write, which never blocks: an open that TERM interrupts runs no trap.
        "sh -c 'exec 3<>../none; trap \"echo bye; exit\" TERM; echo x; read -r x <&3' &",
        0,
    ),
}


@pytest.mark.parametrize("what", LEAVES)
async def test_processes_that_a_program_leaves_get_a_term_and_its_grace(
    shop: Workshop, what: str
) -> None:
    script, killed = LEAVES[what]
    shop.files(RUN_1).create()
    os.mkfifo(shop.files(RUN_1).root / "none")
    wait = 'while [ "$(wc -l < ../log)" -lt 2 ]; do sleep 0.002; done; exit 0'
    process = shop.shell(f"{script} {script} {wait}")
    with trio.fail_after(DEADLINE_S):
        await process.wait()
        left = await process.end_rest(0.2 if killed else DEADLINE_S, trio.Event())
        await process.drain_output()
    assert left == Left(processes=2, killed=killed)
    assert process.exit_record().exit_code == 0
    said = shop.files(RUN_1).log.read_text().split()
    assert said.count("bye") == (2 if what == "that clean up" else 0)


async def test_haste_shortens_the_grace_of_what_is_left(shop: Workshop) -> None:
    process = shop.shell("(trap '' TERM; exec sleep 60) & exit 0")
    hurry = trio.Event()
    hurry.set()
    with trio.fail_after(DEADLINE_S):
        await process.wait()
        assert (await process.end_rest(10 * DEADLINE_S, hurry)).killed == 1


async def test_a_program_that_leaves_nothing_is_not_asked_again(shop: Workshop) -> None:
    process = shop.shell("exit 0")
    with trio.fail_after(DEADLINE_S):
        await process.wait()
        assert await process.end_rest(0, trio.Event()) == Left(processes=0, killed=0)


async def test_its_age_counts_from_its_start(shop: Workshop) -> None:
    process = shop.shell("exec sleep 60")
    assert 0 <= process.age_s() < 5


@pytest.mark.parametrize("escape", list(ESCAPES))
async def test_kill_leaves_nothing(shop: Workshop, escape: str) -> None:
    process = shop.shell(ESCAPES[escape])
    child = int((await shop.said())[0])
    assert lives(child)
    with trio.fail_after(DEADLINE_S):
        await process.kill()
    assert not lives(child)
    assert not lives(process.pid)
    await shop.end(process)
    process.close()
    assert process_tree.look(process.pid) is None
    assert not shop.record().ended


@pytest.mark.parametrize("escape", list(ESCAPES))
async def test_what_is_left_behind_ends_with_its_run(shop: Workshop, escape: str) -> None:
    script = ESCAPES[escape].replace("; wait", "").replace("; exec sleep 60", "")
    process = shop.shell(script + "; while ! [ -s ../log ]; do sleep 0.002; done; exit 5")
    await shop.end(process)
    child = int(shop.files(RUN_1).log.read_text().split()[0])
    assert not lives(child)
    assert shop.record().exit_code == 5


@pytest.mark.parametrize("escape", ["child", "session"])
async def test_term_reaches_the_whole_tree(shop: Workshop, escape: str) -> None:
    process = shop.shell(ESCAPES[escape])
    child = int((await shop.said())[0])
    process.terminate()
    await shop.end(process)
    assert not lives(child)
    assert shop.record().signal == signal.SIGTERM


async def test_a_program_may_end_well_on_term(shop: Workshop) -> None:
    process = shop.shell("trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done")
    await shop.said()
    process.terminate()
    await shop.end(process)
    assert shop.record().exit_code == 4
    assert "bye" in shop.files(RUN_1).log.read_text()


async def test_who_ignores_term_goes_on_until_kill(shop: Workshop) -> None:
    process = shop.shell("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    await shop.said()
    process.terminate()
    with trio.move_on_after(0.05) as scope:
        await process.wait()
    assert scope.cancelled_caught
    await process.kill()
    await shop.end(process)
    assert not shop.record().ended


async def test_killing_one_run_leaves_the_other(shop: Workshop) -> None:
    one = shop.shell(ESCAPES["session"])
    two = shop.shell(ESCAPES["session"], run_id=RUN_2)
    child_of_one = int((await shop.said())[0])
    child_of_two = int((await shop.said(RUN_2))[0])
    await one.kill()
    assert not lives(child_of_one)
    assert lives(child_of_two)
    assert lives(two.pid)


async def test_closing_buries_the_shim(shop: Workshop) -> None:
    first = shop.shell("exit 0", run_id=RUN_2)  # the log writer is there from now on
    await shop.end(first)
    first.close()
    descriptors = len(os.listdir("/proc/self/fd"))
    process = shop.shell("exit 0")
    await shop.end(process)
    seen = process_tree.look(process.pid)
    assert seen is not None  # its id stays taken until then
    assert not seen.lives
    process.close()
    assert process_tree.look(process.pid) is None
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_a_fenced_tree_is_in_its_cgroup(shop: Workshop) -> None:
    process = shop.shell(ESCAPES["clean"])
    child = int((await shop.said())[0])
    process.fence()
    process.fence()
    if shop.host.cgroups is None:
        return
    cgroup = shop.host.cgroups.of_process(child, RUN_1)
    assert cgroup is not None
    assert {process.pid, child} <= set(cgroup.members())
    await process.kill()
    await shop.end(process)
    process.close()
    assert not cgroup.path.exists()
