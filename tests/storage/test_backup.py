"""A backup is a whole, checked and private copy, or a reason in one line and no file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from storage import backup, damage
from storage.backup import BackupFailed, back_up
from storage.database import open_reader, open_writer
from storage.transaction import Transaction
from storage.verify.invariants import verify


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "copy.db"


def dump(path: Path) -> list[Any]:
    connection = open_reader(path)
    rows = connection.execute("SELECT * FROM jobs").fetchall()
    assert not [finding for finding in verify(connection) if finding.breaches]
    connection.close()
    return rows


def test_a_copy_is_whole_and_private(
    path: Path, target: Path, write: Any, put: Callable[..., Any]
) -> None:
    with write() as tx:
        put(tx, "job-1")
    assert back_up(path, target) == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(target.parent) == ["copy.db"]
    assert dump(target) == dump(path)


def test_it_is_of_one_moment_while_others_write(
    path: Path,
    target: Path,
    write: Any,
    put: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with write() as tx:
        put(tx, "job-1")
    before = dump(path)
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 1)
    written: list[Transaction] = []

    def step_and_write(copying: Any, pages: int) -> None:
        copying.step(pages)
        assert len(written) < 1_000, "it begins again and again"
        with write() as tx:
            put(tx, f"job-{len(written) + 2}")
        written.append(tx)

    class Copying:
        """Another writer commits after each page."""

        def __init__(self, *arguments: Any) -> None:
            self._copying = original(*arguments)

        def __enter__(self) -> "Copying":
            self._copying.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self._copying.__exit__(*error)

        @property
        def done(self) -> bool:
            return bool(self._copying.done)

        def step(self, pages: int) -> None:
            step_and_write(self._copying, pages)

    class Copy(apsw.Connection):
        def backup(self, *arguments: Any) -> Any:
            return Copying(self, *arguments)

    original = apsw.Connection.backup
    monkeypatch.setattr(apsw, "Connection", Copy)
    back_up(path, target)
    monkeypatch.undo()
    assert len(written) > 10
    assert dump(target) == before


def failed(path: Path, target: Path) -> str:
    """Why there is no copy; what is beside it is as it was."""
    there = sorted(os.listdir(target.parent)) if target.parent.is_dir() else None
    with pytest.raises(BackupFailed) as caught:
        back_up(path, target)
    if there is not None:
        assert sorted(os.listdir(target.parent)) == there
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_directory(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "no" / "copy.db"
    assert failed(path, target) == (f"cannot write {target}: there is no directory {target.parent}")


def test_a_file_where_a_directory_should_be(path: Path) -> None:
    assert failed(path, path / "copy.db").endswith("Not a directory")


def test_a_name_that_is_too_long(path: Path, tmp_path: Path) -> None:
    assert failed(path, tmp_path / ("n" * 256)).endswith("File name too long")


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_is_there_stays(path: Path, target: Path, make: Callable[[Path], None]) -> None:
    make(target)
    with pytest.raises(FileExistsError):
        back_up(path, target)
    assert os.listdir(target.parent) == ["copy.db"]


def test_a_full_disk(path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(backup, "_copy", full)
    assert failed(path, target) == f"cannot write {target}: No space left on device"


def test_a_damaged_database_gives_no_copy(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = open_writer(path)
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs_type'").get
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xde\xad" * 2048)
    why = failed(path, target)
    assert why.startswith(f"{path} is damaged, so no copy was kept: index jobs_type: ")
    assert f"page {root}" in why
    assert why.count("; ") <= damage.FAULTS_SHOWN_MAX


def test_no_database(tmp_path: Path, target: Path) -> None:
    nothing = tmp_path / "nothing.db"
    nothing.write_bytes(b"a diary " * 1000)
    assert failed(nothing, target).endswith("file is not a database")


def test_a_newer_database(path: Path, target: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    assert "has schema 1000" in failed(path, target)
