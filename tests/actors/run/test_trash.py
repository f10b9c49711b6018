"""What is to go goes, whatever it is: deep, wide, closed, linked, or left by an earlier server."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.host import process_tree
from actors.host.file_tree import open_directory
from actors.run import trash as trashes
from actors.run.trash import Trash
from actors.runner import StopFlag, Stopped
from tests.deep_tree import nest
from tests.powerless import powerless


@pytest.fixture
def trash(tmp_path: Path) -> Trash:
    return Trash(tmp_path / ".trash")


pytestmark = pytest.mark.usefixtures("hostile")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "run").mkdir()
    descriptor = open_directory(tmp_path / "run")
    yield descriptor
    os.close(descriptor)


def descriptors() -> int:
    process_tree.keep_reserved_descriptors()
    return len(os.listdir("/proc/self/fd"))


def make_deep(work: Path) -> None:
    nest(work)


def make_closed(work: Path) -> None:
    for name in ("a", "b"):
        (work / name / "below" / "more").mkdir(parents=True)
        (work / name / "below" / "file").touch()
        (work / name / "below" / "more").chmod(0)
        (work / name / "below").chmod(0o200)
    (work / "a").chmod(0)
    work.chmod(0)


def make_wide(work: Path) -> None:
    for n in range(3_000):
        (work / f"{n}").touch()
    for n in range(300):
        (work / f"d{n}" / "below").mkdir(parents=True)


def make_odd(work: Path) -> None:
    os.mkfifo(work / "fifo")
    (work / "link").symlink_to("/etc")
    (work / "broken").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(work) + b"/\xff\n")).mkdir()
    (work / "0").mkdir()  # as it is called in the trash itself
    (work / "1").touch()


HOSTILE = [make_deep, make_closed, make_wide, make_odd]


@pytest.mark.parametrize("make", HOSTILE)
def test_whatever_it_is_it_goes(
    trash: Trash, tmp_path: Path, here: int, make: Callable[[Path], None]
) -> None:
    work = tmp_path / "run" / "work"
    work.mkdir()
    make(work)
    before = descriptors()

    def remove() -> Any:
        name = trash.put("work", here)
        assert name is not None
        assert not work.exists()
        return trash.remove(name, StopFlag())

    removal = powerless(remove)
    assert (removal.left, removal.more) == (0, False)
    assert os.listdir(tmp_path / ".trash") == []
    assert Path("/etc").is_dir()
    assert descriptors() == before


@pytest.mark.parametrize("make", HOSTILE)
def test_the_next_server_removes_what_the_last_did_not(
    tmp_path: Path, here: int, make: Callable[[Path], None]
) -> None:
    first = Trash(tmp_path / ".trash")
    for n in range(3):
        (tmp_path / "run" / f"{n}").mkdir()
        make(tmp_path / "run" / f"{n}")
        powerless(partial(first.put, f"{n}", here))
    second = Trash(tmp_path / ".trash")
    (tmp_path / "run" / "work").mkdir()
    assert second.put("work", here) is not None
    assert powerless(lambda: second.empty(StopFlag())).left == 0
    assert os.listdir(tmp_path / ".trash") == []


def test_the_descriptors_it_takes_do_not_grow_with_the_depth(
    trash: Trash, tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / "work").mkdir()
    nest(tmp_path / "run" / "work", 50)
    most, before, real = 0, descriptors(), os.unlink

    def look(*arguments: Any, **options: Any) -> None:
        nonlocal most
        most = max(most, descriptors())
        real(*arguments, **options)

    monkeypatch.setattr(os, "unlink", look)
    name = trash.put("work", here)
    assert name is not None
    trash.remove(name, StopFlag())
    assert most - before <= 4


def test_it_stops_when_it_is_asked_to_and_goes_on_later(
    trash: Trash, tmp_path: Path, here: int
) -> None:
    (tmp_path / "run" / "work").mkdir()
    make_wide(tmp_path / "run" / "work")
    name = trash.put("work", here)
    assert name is not None
    stop = StopFlag()
    stop.asked = True
    with pytest.raises(Stopped):
        trash.remove(name, stop)
    assert os.listdir(tmp_path / ".trash") != []
    assert trash.empty(StopFlag()).left == 0
    assert os.listdir(tmp_path / ".trash") == []


def test_what_is_not_there_is_no_trouble(trash: Trash, here: int) -> None:
    assert trash.put("work", here) is None
    assert trash.empty(StopFlag()).left == 0


def test_what_cannot_be_removed_stays_and_is_said(
    trash: Trash, tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "run" / "work"
    (work / "below").mkdir(parents=True)
    (work / "good").touch()
    (work / "below" / "stuck").touch()
    real = os.unlink

    def refuse(name: str, **options: Any) -> None:
        if name == "stuck":
            raise PermissionError(1, "Operation not permitted")
        real(name, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    assert trash.put("work", here) is not None
    removal = trash.empty(StopFlag())
    assert removal.left >= 1
    assert removal.why == "stuck: Operation not permitted"
    assert [path.name for path in (tmp_path / ".trash").rglob("*") if path.is_file()] == ["stuck"]


def test_many_directories_are_not_all_remembered(
    trash: Trash, tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trashes, "NAMES_MAX", 10)
    (tmp_path / "run" / "work").mkdir()
    make_wide(tmp_path / "run" / "work")
    name = trash.put("work", here)
    assert name is not None
    assert trash.remove(name, StopFlag()).more
    assert not trash.empty(StopFlag()).left
    assert os.listdir(tmp_path / ".trash") == []


@pytest.mark.parametrize("kind", ["link", "file", "closed"])
def test_something_else_in_the_place_of_the_trash(
    trash: Trash, tmp_path: Path, here: int, kind: str
) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "mine").touch()
    if kind == "link":
        (tmp_path / ".trash").symlink_to(tmp_path / "victim")
    elif kind == "file":
        (tmp_path / ".trash").touch()
    else:
        (tmp_path / ".trash").mkdir(0)
    (tmp_path / "run" / "work").mkdir()
    assert powerless(lambda: trash.put("work", here)) is not None
    assert trash.empty(StopFlag()).left == 0
    assert (tmp_path / "victim" / "mine").exists()
