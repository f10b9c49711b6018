"""What a program reports: the last word counts, whatever else lies in the file, within limits."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from actors.run import report as reports
from actors.run.report import LINE_BYTES_MAX, MESSAGE_CHARACTERS_MAX, READ_BYTES, Report
from actors.run.run_files import RunFiles
from config.run_limits import REPORT_LIMIT_BYTES
from headway.model.job import Progress


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
    huge = b'{"result": "' + b"x" * LINE_BYTES_MAX + b'"}\n'
    report(files, {"result": 1}, huge, {"progress": 0.5})
    assert files.report_state.result == "1"
    assert files.report_state.progress == Progress(fraction=0.5, message=None)


def test_a_line_without_end_does_not_stop_the_reading(files: RunFiles) -> None:
    report(files, b"x" * (READ_BYTES + 10))
    report(files, b"y" * 10, b"\n", {"result": 1})
    assert files.report_state.result == "1"


def test_all_that_was_added_is_taken_in(files: RunFiles) -> None:
    line = json.dumps({"message": "x" * 1000}).encode() + b"\n"
    report(files, line * (READ_BYTES // len(line) + 10), {"result": "at last"})
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


# ---- limits ------------------------------------------------------------------------------------


def limited(files: RunFiles, limit_bytes: int) -> Report:
    return Report(files.report, limit_bytes)


def test_of_a_report_that_is_too_long_the_beginning_and_the_end_are_read(files: RunFiles) -> None:
    early, late = b'{"result": "early"}\n', b'{"progress": 1}\n{"result": "late"}\n'
    files.report.write_bytes(early + b"x" * (3 * LINE_BYTES_MAX) + b"\n" + late)
    report = limited(files, LINE_BYTES_MAX)
    report.read()
    assert (report.result, report.fault) == ('"early"', None)
    assert report.read(ended=True)
    assert report.result == '"late"'
    assert report.is_cut
    assert report.fault is not None
    assert report.fault.startswith(f"its report has {files.report.stat().st_size} bytes")


def test_a_report_of_nothing_takes_no_time(files: RunFiles) -> None:
    """Four GB that take no room on the disk."""
    files.report.touch()
    os.truncate(files.report, 4 * 1024**3)
    report = limited(files, REPORT_LIMIT_BYTES)
    assert not report.read(ended=True)
    assert report.is_cut
    with files.report.open("ab") as file:
        file.write(b'\n{"result": 7}\n')
    assert not report.read(ended=True)
    assert report.result == "7"


def test_not_every_line_is_parsed(files: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only lines that may count are, and of those the last one of each kind."""
    parsed: list[bytes] = []
    real = from_json

    def parse(line: bytes, **options: Any) -> Any:
        parsed.append(line)
        return real(line, **options)

    monkeypatch.setattr(reports, "from_json", parse)
    lines = [b'{"n": 1}', b'{"result": 1}', *[b'{"progress": 0.5}'] * 1000, b"{}", b'{"result": 2}']
    report(files, b"\n".join(lines) + b"\n")
    assert parsed == [b'{"result": 2}', b'{"progress": 0.5}']
    assert files.report_state.result == "2"


def test_how_many_lines_are_parsed_is_limited(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "LINES_MAX", 10)
    report(files, {"result": 1}, b'"result"\n' * 20)
    assert files.report_state.result is None
    assert files.report_state.fault == "its report has more than 10 lines that had to be read"


def test_a_name_may_be_written_in_escapes(files: RunFiles) -> None:
    report(files, b'{"\\u0072esult": 7}\n')
    assert files.report_state.result == "7"


@pytest.mark.parametrize("trick", ["link", "fifo", "directory", "another name"])
def test_something_else_in_its_place_is_said(files: RunFiles, tmp_path: Path, trick: str) -> None:
    (tmp_path / "headway.db").write_text('{"result": 1}\n')
    if trick == "link":
        files.report.symlink_to(tmp_path / "headway.db")
    elif trick == "fifo":
        os.mkfifo(files.report)
    elif trick == "directory":
        files.report.mkdir()
    else:
        run = RunFiles(tmp_path / "runs" / "run-2")
        run.root.parent.mkdir()
        assert run.create()
        files = run
        os.link(tmp_path / "headway.db", files.report)
    assert not files.read_report(ended=True)
    assert files.report_state.result is None
    fault = str(files.report_state.fault)
    assert fault.startswith("its report cannot be read: ")
    assert fault.endswith("of the server's own" if trick == "another name" else "a regular file")
