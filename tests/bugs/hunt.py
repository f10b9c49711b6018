"""Plant a bug in a copy of the tree and see whether the tests beside it find it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bugs.catalogue import Bug

ROOT = Path(__file__).parent.parent.parent
HUNT_S_MAX = 300
"""Longer than the tests of any bug take. One that hangs them is not found, but endured."""
TESTS_FAILED = 1
TAIL_LINES = 15


class Unfit(Exception):
    """The bug no longer fits the code: its `before` does not stand there exactly once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`caught`, or why not; `output` is the end of what pytest said."""

    caught: bool
    why: str
    output: str = ""


@contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    """All that git tracks, and what is new and not ignored, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="headway-bugs-") as directory:
        for name in filter(None, os.fsdecode(listed).split("\0")):
            if (ROOT / name).is_file():
                target = Path(directory, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)
        yield Path(directory)


def plant(bug: Bug, tree: Path) -> None:
    """Change the copy.

    Raises:
        Unfit: the code has moved on; the bug must follow it.
    """
    text = (tree / bug.file).read_text(encoding="utf-8")
    if (n := text.count(bug.before)) != 1:
        raise Unfit(f"{bug.name}: {bug.file} holds its `before` {n} times, not once")
    (tree / bug.file).write_text(text.replace(bug.before, bug.after), encoding="utf-8")


def run_tests(tree: Path, tests: Iterable[str]) -> tuple[int | None, str]:
    """(pytest's exit status, the end of its output); None: it did not end in time."""
    command = [sys.executable, "-m", "pytest", "-x", "--no-header", "--tb=line", *tests]
    environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HUNT_S_MAX,
        )
    except subprocess.TimeoutExpired:
        return None, f"no end within {HUNT_S_MAX} s"
    return done.returncode, "\n".join(done.stdout.splitlines()[-TAIL_LINES:])


def hunt(bug: Bug) -> Verdict:
    """Whether the bug's tests fail, as tests fail: not by a crash of pytest, and not by hanging."""
    with copy_of_the_tree() as tree:
        try:
            plant(bug, tree)
        except Unfit as error:
            return Verdict(caught=False, why=str(error))
        status, output = run_tests(tree, bug.tests)
    if status == TESTS_FAILED:
        return Verdict(caught=True, why="caught")
    why = "its tests pass" if status == 0 else f"pytest ended with {status}"
    return Verdict(caught=False, why=f"{bug.name} escaped: {why}", output=output)


def control(bugs: Iterable[Bug]) -> Verdict:
    """The same tests on the same copy without a bug: if they fail there, they prove nothing."""
    with copy_of_the_tree() as tree:
        # In the suite's order: the process tests end whatever their process has left running.
        tests = sorted({test for bug in bugs for test in bug.tests})
        status, output = run_tests(tree, tests)
    why = f"without any bug the tests end with {status}"
    return Verdict(caught=status == 0, why=why, output=output)
