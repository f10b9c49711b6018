"""A run's directory: made once, reports read line by line, the log's middle dropped, artifacts."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from actors import run_files
from actors.run_files import (
    ARTIFACTS_MAX,
    BLOCK_BYTES,
    MESSAGE_CHARACTERS_MAX,
    REPORT_LINE_BYTES_MAX,
    REPORT_READ_BYTES,
    RunFiles,
    log_hole,
)
from storage.job import Progress


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    files = RunFiles(tmp_path / "run-1")
    assert files.create()
    return files


def report(files: RunFiles, *lines: Any) -> bool:
    """Append lines (bytes as they are, else as JSON), and read."""
    with files.report.open("ab") as file:
        for line in lines:
            file.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
    return files.read_report()


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


def test_the_working_directory_goes_and_the_rest_stays(files: RunFiles) -> None:
    (files.work / "deep").mkdir()
    files.log.write_text("x")
    files.remove_work()
    files.remove_work()
    assert not files.work.exists()
    assert files.log.read_text() == "x"


def test_no_exit_file_is_no_word(files: RunFiles) -> None:
    assert not files.exit_record().started
    files.exit.write_bytes(b"started 7\n\xff\xfe\nexit 0\n")
    assert files.exit_record().exit_code == 0


@pytest.mark.parametrize(("output", "line"), [("", ""), ("one\ntwo", "two"), ("one\ntwo\n", "two")])
def test_the_last_line_of_the_log(files: RunFiles, output: str, line: str) -> None:
    assert files.last_log_line() == ""
    files.log.write_text("x" * 1000 + "\n" + output if output else "")
    assert files.last_log_line() == line


# ---- reports -----------------------------------------------------------------------------------


def test_progress_is_the_last_that_was_said(files: RunFiles) -> None:
    assert report(files, {"progress": 0.25, "message": "one"}, {"progress": 0.5})
    assert files.report_state.progress == Progress(fraction=0.5, message=None)
    assert report(files, {"message": "three"})
    assert files.report_state.progress == Progress(fraction=None, message="three")


def test_only_a_change_is_news(files: RunFiles) -> None:
    assert report(files, {"progress": 0.5})
    assert not report(files)
    assert not report(files, {"progress": 0.5})
    assert not report(files, {"result": 1})


def test_a_result_is_kept_as_json(files: RunFiles) -> None:
    report(files, {"result": {"a": [1, None, "바다"]}}, {"progress": 1})
    assert json.loads(files.report_state.result or "") == {"a": [1, None, "바다"]}
    report(files, {"result": None})
    assert files.report_state.result == "null"


@pytest.mark.parametrize(
    ("said", "kept"), [(-1, 0.0), (7, 1.0), (1e300, 1.0), (0, 0.0), (None, None)]
)
def test_a_fraction_lies_between_0_and_1(files: RunFiles, said: Any, kept: Any) -> None:
    report(files, {"progress": said})
    assert files.report_state.progress == Progress(fraction=kept, message=None)


def test_a_long_message_is_cut(files: RunFiles) -> None:
    report(files, {"message": "x" * 5000})
    assert files.report_state.progress is not None
    assert files.report_state.progress.message == "x" * MESSAGE_CHARACTERS_MAX


@pytest.mark.parametrize(
    "bad",
    [
        b"not json\n",
        b"[1]\n",
        b'"text"\n',
        b'{"progress": "half"}\n',
        b'{"progress": true}\n',
        b'{"progress": NaN}\n',
        b'{"progress": 0.9\n',
        b'{"message": "\xff"}\n',
        b'{"result": "\\ud800"}\n',
        b'{"result": ' + b"1" * 5000 + b"}\n",
        b'{"result": ' + b"[" * 5000 + b"]" * 5000 + b"}\n",
        b"\n",
        b"\0\0\0\n",
    ],
    ids=range(13),
)
def test_a_bad_line_is_passed_over(files: RunFiles, bad: bytes) -> None:
    assert report(files, {"progress": 0.1}, bad, {"result": 7})
    assert files.report_state.progress == Progress(fraction=0.1, message=None)
    assert files.report_state.result == "7"


def test_a_line_counts_when_its_newline_has_come(files: RunFiles) -> None:
    assert not report(files, b'{"progress": 0.')
    assert not report(files, b"5}")
    assert report(files, b"\n")
    assert files.report_state.progress == Progress(fraction=0.5, message=None)


def test_a_huge_line_is_passed_over(files: RunFiles) -> None:
    huge = b'{"result": "' + b"x" * REPORT_LINE_BYTES_MAX + b'"}\n'
    report(files, {"result": 1}, huge, {"progress": 0.5})
    assert files.report_state.result == "1"
    assert files.report_state.progress == Progress(fraction=0.5, message=None)


def test_a_line_without_end_does_not_stop_the_reading(files: RunFiles) -> None:
    report(files, b"x" * (REPORT_READ_BYTES + 10))
    report(files, b"y" * 10, b"\n", {"result": 1})
    assert files.report_state.result == "1"


def test_all_that_was_added_is_taken_in(files: RunFiles) -> None:
    line = json.dumps({"message": "x" * 1000}).encode() + b"\n"
    report(files, line * (REPORT_READ_BYTES // len(line) + 10), {"result": "at last"})
    assert files.report_state.result == '"at last"'


def test_a_last_line_counts_without_its_newline_when_the_program_has_ended(
    files: RunFiles,
) -> None:
    files.report.write_bytes(b'{"progress": 0.5}\n{"result": 7}')
    files.read_report()
    assert files.report_state.result is None
    assert not files.read_report(ended=True)
    assert files.report_state.result == "7"


def test_no_report_is_no_news(files: RunFiles) -> None:
    assert not files.report.exists()
    assert not files.read_report()


@settings(max_examples=50)
@given(st.data())
def test_how_the_lines_arrive_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = b"".join(
        json.dumps({"progress": n / 10, "message": "바" * n, "result": n}).encode() + b"\n"
        for n in range(4)
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=5)))
    files = RunFiles(tmp_path_factory.mktemp("runs") / "run-1")
    files.create()
    for begin, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        report(files, lines[begin:end])
    assert files.report_state.progress == Progress(fraction=0.3, message="바바바")
    assert files.report_state.result == "3"


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


# ---- artifacts ---------------------------------------------------------------------------------


def test_artifacts_are_listed_by_name_with_size_and_digest(files: RunFiles) -> None:
    assert not files.has_artifacts()
    (files.artifacts / "b").mkdir()
    (files.artifacts / "b" / "이야기.md").write_text("once")
    (files.artifacts / "a.txt").write_bytes(b"")
    assert files.has_artifacts()
    listed = [(one.name, one.size_bytes, one.sha256) for one in files.list_artifacts()]
    assert listed == [
        ("a.txt", 0, hashlib.sha256(b"").hexdigest()),
        ("b/이야기.md", 4, hashlib.sha256(b"once").hexdigest()),
    ]


def test_links_and_special_files_are_no_artifacts(files: RunFiles) -> None:
    (files.artifacts / "link").symlink_to("/etc/passwd")
    (files.artifacts / "dir").symlink_to("/etc")
    os.mkfifo(files.artifacts / "pipe")
    assert files.list_artifacts() == ()


def test_only_so_many_are_listed(files: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ARTIFACTS_MAX == 10_000
    monkeypatch.setattr(run_files, "ARTIFACTS_MAX", 3)
    for n in range(5):
        (files.artifacts / str(n)).touch()
    assert len(files.list_artifacts()) == 3


def test_a_name_that_is_not_utf8_is_shown_in_escapes(files: RunFiles) -> None:
    path = Path(os.fsdecode(os.fsencode(files.artifacts) + b"/\xff"))
    path.write_text("x")
    (one,) = files.list_artifacts()
    assert one.name == r"\xff"
    assert to_json(one)
    assert files.find_artifact(one.name) == path


def test_an_artifact_that_cannot_be_read_is_left_out(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests may run as root, who may read everything.
    real = run_files.open_regular

    def refuse(path: Path, *arguments: Any) -> Any:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments)

    monkeypatch.setattr(run_files, "open_regular", refuse)
    (files.artifacts / "locked").touch()
    (files.artifacts / "good").touch()
    assert [one.name for one in files.list_artifacts()] == ["good"]


def test_a_directory_that_may_not_be_searched_does_no_harm(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files.artifacts / "closed").mkdir()
    (files.artifacts / "closed" / "a").touch()
    (files.artifacts / "good").touch()
    real = os.stat

    def refuse(path: Any, *arguments: Any, **options: Any) -> Any:
        if Path(path).parent.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refuse)
    assert [one.name for one in files.list_artifacts()] == ["good"]


@pytest.mark.parametrize("name", ["../report", "link", "none", "", ".", "deep", "/etc/passwd"])
def test_only_artifacts_are_found(files: RunFiles, name: str) -> None:
    (files.artifacts / "link").symlink_to(files.report)
    (files.artifacts / "deep").mkdir()
    (files.artifacts / "deep" / "a").touch()
    assert files.find_artifact(name) is None
    assert files.find_artifact("deep/a") == files.artifacts / "deep" / "a"


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
    with pytest.raises(OSError, match="symbolic links"):
        run_files.open_regular(files.report)


def test_the_artifacts_may_be_gone(files: RunFiles) -> None:
    files.artifacts.rmdir()
    assert not files.has_artifacts()
    assert files.list_artifacts() == ()
