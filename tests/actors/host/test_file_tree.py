"""Opening and walking what a program left: no link is followed, every limit holds."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.host import file_tree
from actors.host.file_tree import NotRegular, Walk, open_below, open_descriptor, open_in
from actors.runner import StopFlag, Stopped
from storage.database import DATABASE_NAME


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run, beside a database."""
    (tmp_path / DATABASE_NAME).write_text("database")
    run = tmp_path / "runs" / "run-1"
    run.mkdir(parents=True)
    return run


@pytest.fixture
def top(run: Path) -> Iterator[int]:
    descriptor = file_tree.open_directory(run)
    yield descriptor
    os.close(descriptor)


def read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def paths(walk: Walk) -> list[str]:
    return [found.path for found in walk.files()]


def test_only_a_regular_file_is_opened(run: Path) -> None:
    (run / "plain").write_text("text")
    (run / "link").symlink_to("plain")
    (run / "folder").mkdir()
    os.mkfifo(run / "fifo")
    assert read(open_descriptor(run / "plain")) == b"text"
    for name in ("link", "folder", "fifo"):
        with pytest.raises(NotRegular):
            open_descriptor(run / name)
    with pytest.raises(FileNotFoundError):
        open_descriptor(run / "missing")


def test_a_file_with_another_name_is_read_but_not_written(run: Path) -> None:
    (run / "log").write_text("text")
    os.link(run / "log", run / "other")
    assert read(open_in(run / "log")) == b"text"
    with pytest.raises(NotRegular):
        open_in(run / "log", os.O_WRONLY)


def test_the_servers_database_is_not_opened_under_another_name(run: Path) -> None:
    os.link(run.parent.parent / DATABASE_NAME, run / "log")
    with pytest.raises(NotRegular, match="the server's own"):
        open_in(run / "log")


def test_a_linked_directory_is_not_entered(run: Path, top: int) -> None:
    (run / "real").mkdir()
    (run / "real" / "file").write_text("text")
    (run / "linked").symlink_to("real")
    assert read(open_below(top, "real/file")) == b"text"
    with pytest.raises(NotADirectoryError):
        open_below(top, "linked/file")


@pytest.mark.parametrize("path", ["", "..", "../run-1/file", "a//b", "./file", "a\0b"])
def test_a_path_that_leads_elsewhere_is_not_there(run: Path, top: int, path: str) -> None:
    (run / "file").write_text("text")
    with pytest.raises(FileNotFoundError):
        open_below(top, path)


def test_a_walk_finds_regular_files_only_in_order(run: Path, top: int) -> None:
    for name in ("b", "a/2", "a/1", "c/d/e"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    (run / "link").symlink_to("/etc/passwd")
    (run / "linked").symlink_to("/etc")
    os.mkfifo(run / "fifo")
    walk = Walk(top=top, stop=StopFlag(), entries_max=100)
    assert paths(walk) == ["b", "a/1", "a/2", "c/d/e"]
    assert (walk.is_cut, walk.unseen, walk.unread) == (False, 0, 0)


def test_a_walk_ends_at_its_number_of_names_and_hands_the_rest_over(run: Path, top: int) -> None:
    for number in range(5):
        (run / f"{number}").touch()
    aside: list[str] = []
    walk = Walk(top=top, stop=StopFlag(), entries_max=3, aside=lambda name, _: aside.append(name))
    assert len(paths(walk)) == 3
    assert walk.is_cut
    assert len(aside) == 2


def test_a_walk_does_not_go_deeper_than_its_limit(run: Path, top: int) -> None:
    (run / "one" / "two" / "three").mkdir(parents=True)
    (run / "one" / "two" / "three" / "file").touch()
    (run / "one" / "file").touch()
    walk = Walk(top=top, stop=StopFlag(), entries_max=100, depth_max=2)
    assert paths(walk) == ["one/file"]
    assert walk.unseen == 1


def test_a_walk_holds_no_more_descriptors_than_it_needs(run: Path, top: int) -> None:
    (run / "/".join("d" * 90)).mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    walk = Walk(top=top, stop=StopFlag(), entries_max=1_000)
    (run / "/".join("d" * 90) / "file").touch()
    for _ in walk.files():
        assert len(os.listdir("/proc/self/fd")) <= before + 3
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_walk_stops_when_it_is_asked_to(run: Path, top: int) -> None:
    (run / "file").touch()
    stop = StopFlag()
    stop.asked = True
    with pytest.raises(Stopped):
        paths(Walk(top=top, stop=stop, entries_max=100))


def test_a_sparse_file_counts_what_it_takes(run: Path, top: int) -> None:
    with (run / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (found,) = Walk(top=top, stop=StopFlag(), entries_max=100).files()
    assert found.seen.st_size == 1 << 30
    assert found.allocated_bytes < 1 << 20


def test_a_name_that_is_not_text_can_be_shown(run: Path, top: int) -> None:
    os.close(os.open(os.fsencode(run) + b"/\xff", os.O_CREAT | os.O_WRONLY, 0o600))
    (found,) = Walk(top=top, stop=StopFlag(), entries_max=100).files()
    assert file_tree.shown(found.path) == "\\xff"
