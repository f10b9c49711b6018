"""A file appears whole, or not at all."""

import os
from pathlib import Path

import pytest

from storage.new_file import new_file


def test_it_appears_whole_with_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "new"
    with new_file(target, mode=0o600) as beside:
        beside.write_text("all of it")
        assert not target.exists()
        assert beside.parent == tmp_path  # a rename does not cross file systems
        assert beside.stat().st_mode & 0o777 == 0o600
    assert target.read_text() == "all of it"
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["new"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_came_in_between_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    target = tmp_path / "new"
    if not links:
        monkeypatch.setattr(os, "link", no_links)

    def write() -> None:
        with new_file(target) as beside:
            beside.write_text("ours")
            target.write_text("theirs")

    with pytest.raises(FileExistsError):
        write()
    assert target.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["new"]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    with new_file(tmp_path / "new") as beside:
        beside.write_text("all of it")
    assert (tmp_path / "new").read_text() == "all of it"
    assert os.listdir(tmp_path) == ["new"]


def no_links(*_: object) -> None:
    raise PermissionError("Operation not permitted")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_nothing_is_left_when_it_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def write() -> None:
        with new_file(tmp_path / "new") as beside:
            beside.write_text("half of it")
            raise error

    with pytest.raises(error):
        write()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_whatever_is_there_stays(tmp_path: Path, make: object) -> None:
    target = tmp_path / "there"
    assert callable(make)
    make(target)
    with pytest.raises(FileExistsError), new_file(target):
        raise AssertionError("it begins")
    assert os.listdir(tmp_path) == ["there"]


def test_the_longest_name_there_can_be(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    with new_file(target):
        pass
    assert target.exists()
