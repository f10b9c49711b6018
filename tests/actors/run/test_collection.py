"""Artifacts are listed, checked, kept or removed, within limits, whatever lies there."""

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from actors.host.file_tree import DEPTH_MAX, PATH_BYTES_MAX, open_descriptor
from actors.run import collection
from actors.run.collection import Listing, list_artifacts, open_artifact, remove_beyond
from actors.run.run_files import RunFiles
from actors.run.trash import Trash
from actors.runner import StopFlag, Stopped
from config import run_limits
from config.run_limits import KeepLimits
from tests.actors.run.test_trash import descriptors
from tests.deep_tree import nest
from tests.powerless import powerless

UNLIMITED = KeepLimits()

pytestmark = pytest.mark.usefixtures("hostile")


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    (tmp_path / "runs").mkdir()
    files = RunFiles(tmp_path / "runs" / "run-1")
    assert files.create()
    return files


@pytest.fixture
def trash(files: RunFiles) -> Trash:
    return Trash(files.root.parent / ".trash")


def listed(files: RunFiles, limits: KeepLimits = UNLIMITED) -> Listing:
    return list_artifacts(files.root, limits, StopFlag(), {})


def names(listing: Listing) -> list[str]:
    return [one.name for one in listing.kept]


def content(files: RunFiles, name: str) -> bytes:
    descriptor = open_artifact(files.root, name)
    try:
        return os.read(descriptor, 1000)
    finally:
        os.close(descriptor)


# ---- what is listed ----------------------------------------------------------------------------


def test_artifacts_are_listed_by_name_with_size_and_digest(files: RunFiles) -> None:
    assert listed(files) == Listing()
    (files.artifacts / "b").mkdir()
    (files.artifacts / "b" / "이야기.md").write_text("once")
    (files.artifacts / "a.txt").write_bytes(b"")
    found = [(one.name, one.size_bytes, one.sha256) for one in listed(files).artifacts]
    assert found == [
        ("a.txt", 0, hashlib.sha256(b"").hexdigest()),
        ("b/이야기.md", 4, hashlib.sha256(b"once").hexdigest()),
    ]
    assert content(files, "b/이야기.md") == b"once"


def test_the_list_comes_without_checksums_at_first(files: RunFiles) -> None:
    (files.artifacts / "a").write_text("x")
    (one,) = list_artifacts(files.root, UNLIMITED, StopFlag()).kept
    assert (one.name, one.size_bytes, one.sha256, one.kept) == ("a", 1, None, True)


def test_checksums_that_are_there_are_not_computed_again(files: RunFiles) -> None:
    (files.artifacts / "a").write_text("x")
    (one,) = list_artifacts(files.root, UNLIMITED, StopFlag(), {"a": "known"}).kept
    assert one.sha256 == "known"


def test_links_and_special_files_are_no_artifacts(files: RunFiles) -> None:
    (files.artifacts / "link").symlink_to("/etc/passwd")
    (files.artifacts / "dir").symlink_to("/etc")
    os.mkfifo(files.artifacts / "pipe")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(f"/proc/self/fd/{os.open(files.artifacts, os.O_RDONLY)}/socket")
    assert listed(files) == Listing()


@pytest.mark.parametrize("kind", ["gone", "link", "fifo", "file", "closed"])
def test_something_else_in_the_place_of_the_artifacts(files: RunFiles, kind: str) -> None:
    files.artifacts.rmdir()
    faults: tuple[str, ...] = ("something else lies where its artifacts were",)
    if kind == "gone":
        faults = ()
    elif kind == "link":
        files.artifacts.symlink_to("/etc")
    elif kind == "fifo":
        os.mkfifo(files.artifacts)
    elif kind == "file":
        files.artifacts.touch()
    else:
        files.artifacts.mkdir(0)
        faults = ("its artifacts cannot be read: Permission denied",)
    assert powerless(lambda: listed(files)) == Listing(faults=faults, failed=kind != "gone")


def test_a_link_in_the_place_of_the_run_is_not_followed(files: RunFiles, tmp_path: Path) -> None:
    (files.artifacts / "a").touch()
    (files.root.parent / "run-2").symlink_to(files.root)
    with pytest.raises(NotADirectoryError):
        list_artifacts(files.root.parent / "run-2", UNLIMITED, StopFlag())


def test_a_name_that_is_not_utf8_is_shown_in_escapes(files: RunFiles) -> None:
    path = Path(os.fsdecode(os.fsencode(files.artifacts) + b"/\xff"))
    path.write_text("x")
    (one,) = listed(files).kept
    assert one.name == r"\xff"
    assert to_json(one)
    assert content(files, one.name) == b"x"


def test_what_cannot_be_read_is_said(files: RunFiles) -> None:
    for name in ("closed", "good"):
        (files.artifacts / name).write_text("x")
    (files.artifacts / "closed").chmod(0)
    for name, mode in (("shut", 0), ("blind", 0o600)):  # one is not read, one not searched
        (files.artifacts / name).mkdir()
        (files.artifacts / name / "a").touch()
        (files.artifacts / name).chmod(mode)
    (files.artifacts / "zoo").mkdir()
    (files.artifacts / "zoo" / "last").touch()
    listing = powerless(lambda: listed(files))
    assert [(one.name, one.sha256 is None) for one in listing.kept] == [
        ("closed", True), ("good", False), ("zoo/last", False),
    ]  # fmt: skip
    assert listing.faults == ("3 names could not be read (blind/a: Permission denied)",)
    assert not listing.exceeds


def test_nothing_is_too_deep_for_it(files: RunFiles, trash: Trash) -> None:
    (files.artifacts / "a.txt").touch()
    nest(files.artifacts)
    before = descriptors()
    listing = listed(files)
    assert names(listing) == ["a.txt"]
    assert listing.faults == (f"1 directories lie more than {DEPTH_MAX} deep and were not kept",)
    assert listing.exceeds
    assert names(remove_beyond(files.root, UNLIMITED, StopFlag(), trash)) == ["a.txt"]
    assert not listed(files).exceeds
    assert trash.empty(StopFlag()).left == 0
    assert descriptors() == before


def test_a_path_is_not_longer_than_can_be_told(files: RunFiles) -> None:
    path = files.artifacts
    while len(str(path.relative_to(files.artifacts))) <= PATH_BYTES_MAX:
        path /= "x" * 200
    path.mkdir(parents=True)
    (path / "a").touch()
    listing = listed(files)
    assert (listing.kept, listing.exceeds) == ((), True)


def test_a_wide_tree_is_walked_with_few_descriptors(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        path = files.artifacts / "/".join("x" * (n % 7 + 1)) / f"{n}"
        path.mkdir(parents=True)
        (path / "a").touch()
    most, before, real = 0, descriptors(), open_descriptor

    def look(*arguments: Any, **options: Any) -> int:
        nonlocal most
        most = max(most, descriptors())
        return real(*arguments, **options)

    monkeypatch.setattr(collection, "open_descriptor", look)
    listing = listed(files)
    assert len(listing.kept) == 20
    assert names(listing) == sorted(names(listing))
    assert most - before <= 5
    assert descriptors() == before


# ---- limits ------------------------------------------------------------------------------------


def test_what_is_beyond_the_limits_is_listed_and_goes(files: RunFiles, trash: Trash) -> None:
    for name in ("a", "b", "c", "d/e"):
        (files.artifacts / name).parent.mkdir(exist_ok=True)
        (files.artifacts / name).write_text("x")
    limits = KeepLimits(files=2)
    for listing in (listed(files, limits), remove_beyond(files.root, limits, StopFlag(), trash)):
        assert names(listing) == ["a", "b"]
        assert [(one.name, one.kept, one.sha256) for one in listing.not_kept] == [
            ("c", False, None), ("d/e", False, None),
        ]  # fmt: skip
        assert listing.exceeds
        assert listing.faults == (
            f"2 files were not kept: its type keeps at most 2 files and {limits.bytes} bytes",
        )
    assert sorted(path.name for path in files.artifacts.rglob("*") if path.is_file()) == ["a", "b"]
    assert listed(files, limits).faults == ()


def test_the_limit_counts_what_a_file_takes_of_the_disk(files: RunFiles) -> None:
    (files.artifacts / "sparse").touch()
    os.truncate(files.artifacts / "sparse", 1 << 40)
    (files.artifacts / "solid").write_bytes(b"x" * 100_000)
    (files.artifacts / "tiny").write_bytes(b"x")
    listing = list_artifacts(files.root, KeepLimits(bytes=50_000), StopFlag())
    assert names(listing) == ["sparse", "tiny"]
    assert [one.name for one in listing.not_kept] == ["solid"]


def test_only_so_many_are_named(files: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "NOT_KEPT_MAX", 3)
    for n in range(10):
        (files.artifacts / str(n)).touch()
    listing = listed(files, KeepLimits(files=0))
    assert [one.name for one in listing.not_kept] == ["0", "1", "2"]
    assert listing.faults[0].startswith("10 files were not kept")


@pytest.mark.parametrize("kind", ["files", "directories"])
def test_only_so_many_names_are_looked_at(
    files: RunFiles, trash: Trash, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(run_limits, "NAMES_MAX", 50)
    for n in range(200):
        path = files.artifacts / str(n)
        path.touch() if kind == "files" else path.mkdir()
    limits = KeepLimits(files=5)
    listing = listed(files, limits)
    assert "it left more than 50 names: what came after them was not kept" in listing.faults
    assert listing.exceeds
    kept = names(remove_beyond(files.root, limits, StopFlag(), trash))
    left = os.listdir(files.artifacts)
    assert sorted(left) == sorted(kept) if kind == "files" else len(left) == 50
    assert trash.empty(StopFlag()).left == 0


def test_the_same_files_are_kept_when_it_is_begun_anew(files: RunFiles, trash: Trash) -> None:
    for n in range(20):
        (files.artifacts / f"{n:02}").write_bytes(b"x" * (5000 * (n % 3)))
    limits = KeepLimits(bytes=40_000, files=9)
    first = names(listed(files, limits))
    (files.artifacts / "19").unlink()  # as if a crash had come in the middle of it
    (files.artifacts / "18").unlink()
    assert names(remove_beyond(files.root, limits, StopFlag(), trash)) == first
    assert names(listed(files, limits)) == first


def test_it_stops_in_the_middle_of_a_file(files: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    (files.artifacts / "sparse").touch()
    os.truncate(files.artifacts / "sparse", 1 << 40)
    stop, read = StopFlag(), os.read

    def ask(descriptor: int, size: int) -> bytes:
        stop.asked = True
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", ask)
    before = descriptors()
    with pytest.raises(Stopped):
        list_artifacts(files.root, UNLIMITED, stop, {})
    assert descriptors() == before


# ---- the server's own files --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["headway.db", "headway.db-wal", "headway.db-shm"])
def test_the_database_is_no_artifact(
    files: RunFiles, trash: Trash, tmp_path: Path, name: str
) -> None:
    """Else it could be fetched; and to close it would drop the locks that hold it together."""
    (tmp_path / name).write_text("secret")
    os.link(tmp_path / name, files.artifacts / "mine")
    os.link(tmp_path / name, files.artifacts / "secret.txt")
    with pytest.raises(OSError, match="the server's own"):
        open_artifact(files.root, "mine")
    listing = listed(files)
    assert listing.artifacts == ()
    assert listing.faults == ("2 names of the server's own database were not kept",)
    remove_beyond(files.root, UNLIMITED, StopFlag(), trash)
    assert os.listdir(files.artifacts) == []
    assert (tmp_path / name).read_text() == "secret"


def test_files_with_two_names_are_artifacts(files: RunFiles) -> None:
    (files.artifacts / "a").write_text("x")
    os.link(files.artifacts / "a", files.artifacts / "b")
    assert names(listed(files)) == ["a", "b"]


# ---- one file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../report", "link", "none", "", ".", "deep", "/etc/passwd", "deep/../a", "deep//b", "a/b",
        "linked/b", "pipe", "a\0b",
    ],
)  # fmt: skip
def test_only_artifacts_are_found(files: RunFiles, name: str) -> None:
    files.report.write_text("x")
    (files.artifacts / "link").symlink_to(files.report)
    (files.artifacts / "deep").mkdir()
    (files.artifacts / "deep" / "b").touch()
    (files.artifacts / "linked").symlink_to("deep")
    (files.artifacts / "a").touch()
    os.mkfifo(files.artifacts / "pipe")
    before = descriptors()
    with pytest.raises(OSError, match=r".*"):
        open_artifact(files.root, name)
    assert content(files, "deep/b") == b""
    assert descriptors() == before


# ---- everything at once ------------------------------------------------------------------------


def make_swapped(files: RunFiles) -> Callable[[], None]:
    """A directory that is a link the moment after it was seen."""
    (files.artifacts / "d").mkdir()
    (files.artifacts / "d" / "a").touch()

    def swap() -> None:
        (files.artifacts / "d").rename(files.root / "moved")
        (files.artifacts / "d").symlink_to("/etc")

    return swap


def test_what_is_swapped_while_it_is_read_is_not_followed(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap, real = make_swapped(files), os.stat
    (files.artifacts / "z").touch()

    def look(name: Any, **options: Any) -> os.stat_result:
        if name == "z":
            swap()
        return real(name, **options)

    monkeypatch.setattr(os, "stat", look)
    listing = listed(files)
    assert names(listing) == ["z"]
    assert listing.faults == ("1 names could not be read (d: Not a directory)",)
