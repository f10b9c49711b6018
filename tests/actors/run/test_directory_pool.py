"""Directories that go from run to run: only those that are like new ones."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.run.directory_pool import POOLED_DIRECTORIES_MAX, DirectoryPool
from actors.run.run_files import Remains, RunFiles
from actors.run.trash import Trash
from tests.deep_tree import nest
from tests.powerless import powerless

pytestmark = pytest.mark.usefixtures("hostile")


@pytest.fixture
def trash(tmp_path: Path) -> Trash:
    return Trash(tmp_path / ".trash")


@pytest.fixture
def directory_pool(tmp_path: Path, trash: Trash) -> DirectoryPool:
    return DirectoryPool(tmp_path / ".spare", trash)


def kept(directory_pool: DirectoryPool) -> int:
    return len(os.listdir(directory_pool._directory))


def test_an_empty_directory_serves_again(directory_pool: DirectoryPool, tmp_path: Path) -> None:
    directory_pool.make(tmp_path / "one")
    inode = (tmp_path / "one").stat().st_ino
    assert directory_pool.take_back(tmp_path / "one")
    assert not (tmp_path / "one").exists()
    directory_pool.make(tmp_path / "two")
    assert (tmp_path / "two").stat().st_ino == inode
    assert (tmp_path / "two").stat().st_mode & 0o7777 == 0o700
    assert kept(directory_pool) == 0


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


def bloat_it(path: Path) -> None:
    for n in range(3_000):
        (path / f"{n:0200}").touch()
    for file in path.iterdir():
        file.unlink()
    if path.stat().st_size <= 4096:
        pytest.skip("this file system makes directories smaller again")


@pytest.mark.parametrize("spoil", [leave_a_file, open_it, mark_it, swap_it, remove_it, bloat_it])
def test_what_a_program_has_touched_does_not(
    directory_pool: DirectoryPool, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    directory_pool.make(tmp_path / "one")
    spoil(tmp_path / "one")
    assert not directory_pool.take_back(tmp_path / "one")
    assert kept(directory_pool) == 0


def test_they_are_bounded(directory_pool: DirectoryPool, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(POOLED_DIRECTORIES_MAX + 1)]
    for path in paths:
        directory_pool.make(path)
    assert [directory_pool.take_back(path) for path in paths] == [True] * POOLED_DIRECTORIES_MAX + [
        False
    ]


def test_nothing_is_taken_over_from_a_former_life(
    directory_pool: DirectoryPool, trash: Trash, tmp_path: Path
) -> None:
    directory_pool.make(tmp_path / "one")
    directory_pool.take_back(tmp_path / "one")
    assert kept(DirectoryPool(tmp_path / ".spare", trash)) == 0
    directory_pool.make(tmp_path / "two")  # its own are gone: it makes one
    assert (tmp_path / "two").is_dir()


@pytest.mark.parametrize("kind", ["deep", "closed", "file", "link", "fifo"])
def test_whatever_a_former_life_has_left_there_are_spares(
    trash: Trash, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / ".spare"
    (tmp_path / "victim").mkdir()
    if kind == "deep":
        place.mkdir()
        nest(place)
    elif kind == "closed":
        place.mkdir(0)
    elif kind == "file":
        place.touch()
    elif kind == "link":
        place.symlink_to(tmp_path / "victim")
    else:
        os.mkfifo(place)
    directory_pool = powerless(lambda: DirectoryPool(place, trash))
    directory_pool.make(tmp_path / "one")
    assert directory_pool.take_back(tmp_path / "one")
    assert os.listdir(tmp_path / "victim") == []


def test_without_a_place_there_are_none(trash: Trash, tmp_path: Path) -> None:
    directory_pool = DirectoryPool(tmp_path / "gone" / ".spare", trash)
    directory_pool.make(tmp_path / "one")
    assert not directory_pool.take_back(tmp_path / "one")
    assert (tmp_path / "one").is_dir()


def test_a_run_takes_two_and_gives_back_what_is_empty(
    directory_pool: DirectoryPool, trash: Trash, tmp_path: Path
) -> None:
    first = RunFiles(tmp_path / "run-1", directory_pool=directory_pool, trash=trash)
    assert first.create()
    assert first.part() == Remains()
    assert os.listdir(first.root) == []
    assert kept(directory_pool) == 2
    second = RunFiles(tmp_path / "run-2", directory_pool=directory_pool, trash=trash)
    assert second.create()
    assert kept(directory_pool) == 0
    (second.artifacts / "story.md").touch()
    (second.work / "scratch").touch()
    remains = second.part()
    assert remains == Remains(has_artifacts=True, work=remains.work)
    assert os.listdir(second.root) == ["artifacts"]
    assert kept(directory_pool) == 0
