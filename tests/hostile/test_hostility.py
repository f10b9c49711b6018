"""The campaign's own parts: what a deed may touch, and that the checks can fail."""

import ctypes
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.host import process_tree
from actors.host.children import PR_SET_CHILD_SUBREAPER
from tests.hostile.hostility import explains, wrong_end, wrong_output
from tests.hostile.lives import End
from tests.hostile.program import FIRST, GRACE_S, LAST, SKIP_CODE, Plan, plan
from tests.hostile.pulse import Sample, Spent, machine_s
from tests.hostile.scene import Note, note_path
from tests.hostile.victim import Victims, remove_tree
from tests.server_process import ROOT

DEADLINE_S = 60
UNENDING = ("slow", "leader_killed")


@pytest.fixture(autouse=True)
def _adopt_orphans() -> Iterator[None]:
    """What a program leaves becomes a child of this process, and is ended."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Victims]:
    (tmp_path / "headway.toml").touch()
    (tmp_path / "notes").mkdir()
    victims = Victims(tmp_path, random.Random(0))
    yield victims
    victims.end()
    remove_tree(tmp_path)


def play(directory: Path, seed: str) -> Note:
    """The program of a seed, in a run directory that no server looks at."""
    root = directory / "data" / "runs" / seed.replace("/", "-")
    for path in (root / "artifacts", root / "work"):
        path.mkdir(parents=True)
    for name in ("log", "exit", "times", "stdin"):
        (root / name).touch()
    environment = {
        "HEADWAY_ARTIFACTS": str(root / "artifacts"),
        "HOSTILE_VICTIMS": str(directory / "victims"),
        "HOSTILE_NOTES": str(directory / "notes"),
        "PYTHONPATH": str(ROOT),
    }
    before = set(process_tree.children(os.getpid()))
    try:
        subprocess.run(
            [sys.executable, "-S", "-m", "tests.hostile.program", seed, seed],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            timeout=DEADLINE_S,
            check=False,
        )
    finally:
        while left := set(process_tree.children(os.getpid())) - before:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    return Note.read(note_path(directory / "notes", seed))


@pytest.mark.parametrize("deed", [do.__name__ for do in (*FIRST, *LAST)])
def test_a_deed_changes_nothing_outside_of_run_directories(
    victims: Victims, tmp_path: Path, deed: str
) -> None:
    if deed in UNENDING:
        pytest.skip("it does not come to its end")
    play(tmp_path, "before/names")
    for number in range(3):
        note = play(tmp_path, f"{number}/{deed}")
        assert note.deeds == [deed]
        assert note.code == 0
    assert victims.changes() == []


def test_a_seed_is_always_the_same_plan() -> None:
    plans = [plan(f"seed/{number}") for number in range(3000)]
    assert plans == [plan(f"seed/{number}") for number in range(3000)]
    assert {do for one in plans for do in one.deeds} == {*FIRST, *LAST}


@pytest.mark.parametrize(
    ("note", "run", "is_right"),
    [
        (Note(code=0), {"status": "COMPLETED", "exit_code": 0}, True),
        (Note(code=0), {"status": "FAILED", "exit_code": None}, False),
        (Note(code=5), {"status": "FAILED", "exit_code": 5}, True),
        (Note(code=5), {"status": "COMPLETED", "exit_code": 0}, False),
        (Note(code=SKIP_CODE), {"status": "SKIPPED", "exit_code": SKIP_CODE}, True),
        (Note(signal=9), {"status": "FAILED", "exit_code": None, "signal": 9}, True),
        (Note(signal=9), {"status": "FAILED", "exit_code": 137, "signal": None}, True),
        (Note(signal=9), {"status": "FAILED", "exit_code": None, "signal": 15}, False),
    ],
)
def test_an_end_that_is_not_the_programs_own_is_found(
    note: Note, run: dict[str, object], is_right: bool
) -> None:
    assert (wrong_end(run, note) is None) is is_right


@pytest.mark.parametrize(
    ("output", "spoils", "is_right"),
    [
        (b"one\ntwo\n", (), True),
        (b"two\n", (), False),
        (b"one\ntwo\nthree\n", (), False),
        (b"one\ntwo\nthree\n", ("tail",), True),
        (b"one\n", ("tail",), False),
    ],
)
def test_output_that_is_lost_or_added_is_found(
    tmp_path: Path, output: bytes, spoils: tuple[str, ...], is_right: bool
) -> None:
    said = tmp_path / "said"
    said.write_bytes(b"one\ntwo\n")
    assert (wrong_output(output, said, Note(spoils={*spoils})) is None) is is_right


def test_a_stop_excuses_only_what_ran_longer_than_its_grace() -> None:
    shim, bare = Plan((), "hostile", False, None), Plan((), "hostile_bare", False, None)
    stop, kill = End("stop", 100.0), End("kill", 100.0)
    assert not explains(stop, 100.0 + GRACE_S - 2, shim)
    assert explains(stop, 100.0 + GRACE_S + 2, shim)
    assert not explains(kill, 200.0, shim)
    assert explains(kill, 200.0, bare)
    assert not explains(kill, 90.0, bare)


def test_the_machines_share_of_a_slow_answer_is_known() -> None:
    before = {1: Spent(7.0, 1.0), 2: Spent(0.0, 5.0), 3: Spent()}
    after = {1: Spent(7.25, 1.5), 2: Spent(0.0, 5.5), 3: Spent(), 4: Spent(9.0, 0.0)}
    # It ran for 0.25 s, waited for 0.5 s, and slept for the rest, beside a thread that waited.
    assert machine_s(1, before, after, took_s=4.0) == 0.5 + 0.5
    assert machine_s(1, before, after, took_s=1.0) == 0.5 + 0.25
    assert machine_s(1, before, after, took_s=0.75) == 0.5
    assert Sample(0.0, 1.5, 1.0).own_s == 0.5
    assert Sample(0.0, 0.5, 1.0).own_s == 0.0


def test_a_change_of_a_victim_is_found(victims: Victims, tmp_path: Path) -> None:
    os.link(tmp_path / "victims" / "plain", tmp_path / "another-name")
    assert victims.changes() == []
    with (tmp_path / "victims" / "big").open("r+b") as file:
        file.write(b"x")
    (tmp_path / "victims" / "directory" / "new").touch()
    assert [change.split(" ")[0] for change in victims.changes()] == [
        "victims/big",
        "victims/directory/new",
    ]
