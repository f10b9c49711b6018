"""Directories that go from run to run: only those that cannot be told from new ones."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.run_files import RunFiles
from actors.spare import SPARES_MAX, Spares


@pytest.fixture
def spares(tmp_path: Path) -> Spares:
    return Spares(tmp_path / ".spare")


def kept(spares: Spares) -> int:
    return len(os.listdir(spares._directory))


def test_an_empty_directory_serves_again(spares: Spares, tmp_path: Path) -> None:
    spares.make(tmp_path / "one")
    inode = (tmp_path / "one").stat().st_ino
    assert spares.take_back(tmp_path / "one")
    assert not (tmp_path / "one").exists()
    spares.make(tmp_path / "two")
    assert (tmp_path / "two").stat().st_ino == inode
    assert (tmp_path / "two").stat().st_mode & 0o7777 == 0o700
    assert kept(spares) == 0


def leave_a_file(path: Path) -> None:
    (path / "mine").touch()


def open_it(path: Path) -> None:
    path.chmod(0o755)


def mark_it(path: Path) -> None:
    try:
        os.setxattr(path, "user.mine", b"1")
    except OSError:
        pytest.skip("this file system has no extended attributes")


def swap_it(path: Path) -> None:
    path.rmdir()
    path.symlink_to("/tmp")


def remove_it(path: Path) -> None:
    path.rmdir()


@pytest.mark.parametrize("spoil", [leave_a_file, open_it, mark_it, swap_it, remove_it])
def test_what_a_program_has_touched_does_not(
    spares: Spares, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spares.make(tmp_path / "one")
    spoil(tmp_path / "one")
    assert not spares.take_back(tmp_path / "one")
    assert kept(spares) == 0


def test_they_are_bounded(spares: Spares, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(SPARES_MAX + 1)]
    for path in paths:
        spares.make(path)
    assert [spares.take_back(path) for path in paths] == [True] * SPARES_MAX + [False]


def test_nothing_is_taken_over_from_a_former_life(spares: Spares, tmp_path: Path) -> None:
    spares.make(tmp_path / "one")
    spares.take_back(tmp_path / "one")
    assert kept(Spares(tmp_path / ".spare")) == 0
    spares.make(tmp_path / "two")  # its own are gone: it makes one
    assert (tmp_path / "two").is_dir()


def test_a_run_takes_two_and_gives_back_what_is_empty(spares: Spares, tmp_path: Path) -> None:
    first = RunFiles(tmp_path / "run-1", spares=spares)
    assert first.create()
    first.remove_work()
    assert os.listdir(first.root) == []
    assert kept(spares) == 2
    second = RunFiles(tmp_path / "run-2", spares=spares)
    assert second.create()
    assert kept(spares) == 0
    (second.artifacts / "story.md").touch()
    (second.work / "scratch").touch()
    second.remove_work()
    assert os.listdir(second.root) == ["artifacts"]
    assert kept(spares) == 0
