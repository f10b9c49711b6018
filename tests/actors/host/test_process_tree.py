"""Process trees as /proc shows them, and signals to exactly the process that was seen."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from actors.host import process_tree

DEADLINE_S = 10
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `sh -c SCRIPT`; nothing of it outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["sh", "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)
        assert process.stdout is not None
        process.stdout.close()


def said(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_a_process_is_seen_with_its_parent_session_and_start() -> None:
    seen = process_tree.look(os.getpid())
    assert seen is not None
    assert (seen.pid, seen.parent, seen.session) == (os.getpid(), os.getppid(), os.getsid(0))
    assert seen.lives
    assert seen == process_tree.look(os.getpid()) or seen.state != "R"


def test_what_is_not_there_is_not_seen() -> None:
    assert process_tree.look(2**22 + 1) is None
    assert process_tree.children(2**22 + 1) == []
    assert process_tree.run_id_of(2**22 + 1) is None


def test_a_zombie_does_not_live(start: Start) -> None:
    parent = start("sleep 0.01 & echo $!; exec sleep 60")
    child = said(parent)
    deadline = time.monotonic() + DEADLINE_S
    while (seen := process_tree.look(child)) is not None and seen.lives:
        assert time.monotonic() < deadline
    assert seen is not None  # its parent has not buried it
    assert child not in [found.pid for found in process_tree.with_descendants([parent.pid])]


def test_descendants_are_children_of_children(start: Start) -> None:
    parent = start("sh -c 'sleep 60 & echo $!; wait' & wait")
    grandchild = said(parent)
    found = {seen.pid for seen in process_tree.with_descendants([parent.pid])}
    assert {parent.pid, grandchild} <= found
    assert len(found) == 3
    assert os.getpid() not in found
    assert process_tree.children(parent.pid) == list(found - {parent.pid, grandchild})


def test_a_run_id_is_read_from_the_environment(start: Start) -> None:
    # `carriers` walks over the whole host, where another run of this test may be under way.
    first, second, absent = (f"run-tree-{number}-of-{os.getpid()}" for number in (1, 2, 9))
    one = start("echo 1; exec sleep 60", HEADWAY_RUN_ID=first, XHEADWAY_RUN_ID="run-x")
    two = start("echo 2; exec sleep 60", HEADWAY_RUN_ID=second)
    none = start("echo 3; exec sleep 60", OTHER=f"HEADWAY_RUN_ID={first}")
    for process in (one, two, none):
        said(process)
    assert process_tree.run_id_of(one.pid) == first
    assert process_tree.run_id_of(none.pid) is None
    wanted = frozenset({first, absent})
    assert [seen.pid for seen in process_tree.carriers(wanted)] == [one.pid]


def test_a_signal_goes_to_the_process_that_was_seen_only(start: Start) -> None:
    sleeper = start("exec sleep 60")
    seen = process_tree.look(sleeper.pid)
    assert seen is not None
    other = process_tree.ProcessState(
        seen.pid, seen.state, seen.parent, seen.session, seen.start_ticks + 1
    )
    process_tree.send(other, signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        sleeper.wait(0.05)
    process_tree.send(seen, signal.SIGKILL)
    assert sleeper.wait(DEADLINE_S) == -signal.SIGKILL


def test_a_signal_to_nobody_does_no_harm() -> None:
    process_tree.send(process_tree.ProcessState(2**22 + 1, "S", 1, 1, 1), signal.SIGKILL)


def test_a_lack_of_descriptors_is_not_taken_for_absence(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start("echo up; exec sleep 60", HEADWAY_RUN_ID="run-scarce")
    assert process.stdout is not None
    process.stdout.readline()
    process_tree.keep_reserved_descriptors()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        with pytest.raises(OSError, match="Too many open files"):  # noqa: PT012 - until it does
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(3):
            seen = process_tree.look(process.pid)
            assert seen is not None
            assert seen.lives
            assert process_tree.run_id_of(process.pid) == "run-scarce"
            assert process.pid in process_tree.children(os.getpid())
            assert [c.pid for c in process_tree.carriers(frozenset({"run-scarce"}))] == [
                process.pid
            ]
        assert seen is not None
        process_tree.send(seen, signal.SIGKILL)
        monkeypatch.setattr(process_tree, "_reserved", [])  # those that are lost stay open
        monkeypatch.setattr(process_tree, "keep_reserved_descriptors", lambda: None)
        with pytest.raises(OSError, match="Too many open files"):
            process_tree.look(process.pid)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert process.wait(DEADLINE_S) == -signal.SIGKILL
