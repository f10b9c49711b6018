"""A run's directory: made once, the log's middle dropped, what is left at its end."""

import os
from pathlib import Path

import pytest

from actors.run import run_files
from actors.run.run_files import BLOCK_BYTES, Remains, RunFiles, log_hole
from actors.run.trash import Trash
from actors.runner import StopFlag
from tests.deep_tree import nest
from tests.powerless import powerless

pytestmark = pytest.mark.usefixtures("hostile")


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    files = RunFiles(tmp_path / "run-1")
    assert files.create()
    return files


# ---- the directory -----------------------------------------------------------------------------


def test_the_directory_is_made_once(files: RunFiles) -> None:
    (files.work / "mine").touch()
    assert not RunFiles(files.root).create()
    assert (files.work / "mine").exists()


def test_everything_is_there_for_its_owner_only(files: RunFiles) -> None:
    assert files.work.is_dir()
    assert files.artifacts.is_dir()
    for directory in (files.root, files.work, files.artifacts):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_a_crash_between_directory_and_contents_is_made_good(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "run-1")
    files.root.mkdir()
    assert not files.create()
    files.fill()
    (files.work / "kept").touch()
    files.fill()
    assert (files.work / "kept").exists()
    assert files.artifacts.is_dir()


@pytest.mark.parametrize("name", ["exit", "log", "work", "artifacts"])
@pytest.mark.parametrize("kind", ["deep", "link", "fifo"])
def test_whatever_lies_where_a_run_is_to_begin(tmp_path: Path, name: str, kind: str) -> None:
    files = RunFiles(tmp_path / "run-1", trash=Trash(tmp_path / ".trash"))
    assert files.create()
    path = files.root / name
    if kind == "deep" and name in ("exit", "log"):
        path.mkdir()
        nest(path)
    elif kind != "deep":
        if path.is_dir():
            path.rmdir()
        path.symlink_to("/etc") if kind == "link" else os.mkfifo(path)
    files.begin_anew()
    assert sorted(os.listdir(files.root)) == ["artifacts", "work"]
    assert not any(path.is_symlink() for path in files.root.iterdir())
    assert files.work.is_dir()
    assert files.artifacts.is_dir()


def test_at_its_end_the_working_directory_goes_and_the_rest_stays(tmp_path: Path) -> None:
    trash = Trash(tmp_path / ".trash")
    files = RunFiles(tmp_path / "run-1", trash=trash)
    assert files.create()
    nest(files.work)
    files.log.write_text("x")
    (files.artifacts / "a").touch()
    files.report.touch()
    remains = files.part()
    assert remains == Remains(has_report=True, has_artifacts=True, log_bytes=1, work=remains.work)
    assert remains.work is not None
    assert trash.remove(remains.work, StopFlag()).left == 0
    assert not files.work.exists()
    assert files.log.read_text() == "x"
    assert files.part() == Remains(has_report=True, has_artifacts=True, log_bytes=1)


def test_what_a_program_does_to_its_own_directory_is_undone(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "run-1", trash=Trash(tmp_path / ".trash"))
    assert files.create()
    files.work.chmod(0)
    files.root.chmod(0)
    assert powerless(files.part).work is not None
    assert not files.work.exists()


@pytest.mark.parametrize("kind", ["gone", "link", "file"])
def test_something_else_in_the_place_of_a_run(tmp_path: Path, kind: str) -> None:
    files = RunFiles(tmp_path / "run-1", trash=Trash(tmp_path / ".trash"))
    (tmp_path / "victim" / "work" / "mine").mkdir(parents=True)
    if kind == "link":
        files.root.symlink_to(tmp_path / "victim")
    elif kind == "file":
        files.root.touch()
    with pytest.raises(FileNotFoundError if kind == "gone" else NotADirectoryError):
        files.part()
    assert (tmp_path / "victim" / "work" / "mine").exists()


def test_a_signal_is_remembered(files: RunFiles) -> None:
    assert not files.was_signalled()
    files.note_signal()
    files.note_signal()
    assert files.was_signalled()
    assert RunFiles(files.root).was_signalled()


def test_no_exit_file_is_no_word(files: RunFiles) -> None:
    assert not files.exit_record().started
    files.exit.write_bytes(b"started 7\n\xff\xfe\nexit 0\n")
    assert files.exit_record().exit_code == 0


@pytest.mark.parametrize(("output", "line"), [("", ""), ("one\ntwo", "two"), ("one\ntwo\n", "two")])
def test_the_last_line_of_the_log(files: RunFiles, output: str, line: str) -> None:
    assert files.last_log_line() == ""
    files.log.write_text("x" * 1000 + "\n" + output if output else "")
    assert files.last_log_line() == line


# ---- the log -----------------------------------------------------------------------------------


def write_log(files: RunFiles, size: int) -> bytes:
    data = bytes(n * 7 % 251 for n in range(size))
    files.log.write_bytes(data)
    return data


def test_the_middle_goes_and_both_ends_stay(files: RunFiles) -> None:
    limit = 4 * BLOCK_BYTES
    data = write_log(files, 20 * BLOCK_BYTES + 100)
    before = os.stat(files.log).st_blocks
    files.drop_middle(limit)
    hole = log_hole(files.log)
    assert hole == (2 * BLOCK_BYTES, 18 * BLOCK_BYTES)
    begin, end = hole
    shown = files.log.read_bytes()
    assert len(shown) == len(data)
    assert shown[:begin] == data[:begin]
    assert shown[end:] == data[end:]
    assert end - begin == (before - os.stat(files.log).st_blocks) * 512
    assert begin >= limit // 2
    assert len(data) - end >= limit // 2
    assert (files.log_bytes(), files.log_is_cut()) == (len(data), True)


def test_a_log_that_grows_on_is_cut_again(files: RunFiles) -> None:
    write_log(files, 20 * BLOCK_BYTES)
    files.drop_middle(2 * BLOCK_BYTES)
    with files.log.open("ab") as file:
        file.write(b"z" * 10 * BLOCK_BYTES)
    files.drop_middle(2 * BLOCK_BYTES)
    assert log_hole(files.log) == (BLOCK_BYTES, 29 * BLOCK_BYTES)
    assert files.log.read_bytes().endswith(b"z" * BLOCK_BYTES)


def test_a_log_with_another_name_is_cut_when_its_run_has_ended(files: RunFiles) -> None:
    data = write_log(files, 20 * BLOCK_BYTES + 100)
    other = files.root / "another-name"
    other.hardlink_to(files.log)
    files.drop_middle(4 * BLOCK_BYTES)
    assert log_hole(files.log) is None  # it may be another run's, and is written to
    files.drop_middle(4 * BLOCK_BYTES, has_ended=True)
    assert log_hole(files.log) == (2 * BLOCK_BYTES, 18 * BLOCK_BYTES)
    shown = files.log.read_bytes()
    assert (len(shown), shown[: 2 * BLOCK_BYTES]) == (len(data), data[: 2 * BLOCK_BYTES])
    assert shown[18 * BLOCK_BYTES :] == data[18 * BLOCK_BYTES :]
    assert other.read_bytes() == data


def test_what_is_hardly_too_long_stays_whole(files: RunFiles) -> None:
    data = write_log(files, 2 * BLOCK_BYTES + 1)
    files.drop_middle(2 * BLOCK_BYTES)
    assert files.log.read_bytes() == data
    assert (files.log_bytes(), files.log_is_cut()) == (len(data), False)


def test_a_log_that_is_not_there_or_empty(files: RunFiles) -> None:
    assert (files.log_bytes(), files.log_is_cut()) == (0, False)
    files.log.touch()
    assert log_hole(files.log) is None
    assert (files.log_bytes(), files.log_is_cut()) == (0, False)


# ---- something else in its place -----------------------------------------------------------


def test_what_a_program_swaps_for_something_else_is_not_read(files: RunFiles) -> None:
    for path in (files.exit, files.log, files.report):
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    assert not files.exit_record().started
    assert files.last_log_line() == ""
    assert not files.read_report()
    files.report.unlink()
    files.report.symlink_to("/etc/passwd")
    assert not files.read_report()
    with pytest.raises(OSError, match="not a regular file"):
        run_files.open_regular(files.report)
