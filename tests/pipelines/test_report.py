"""The report: lines for people, and JSON lines that are valid whatever is in them."""

import json
from pathlib import Path

import pytest

from pipelines.report import ProgramReport


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.write_text('{"progress": 0}\n')
    report = ProgramReport(str(path))
    report.progress(1 / 3, 'a "quoted" 한글\nline')
    report.result({"written": 1})
    assert [json.loads(line) for line in path.read_text("ascii").splitlines()] == [
        {"progress": 0},
        {"progress": 0.3333, "message": 'a "quoted" 한글\nline'},
        {"result": {"written": 1}},
    ]


@pytest.mark.parametrize(("fraction", "shown"), [(-1, 0.0), (2, 1.0)])
def test_progress_is_a_fraction(tmp_path: Path, fraction: float, shown: float) -> None:
    path = tmp_path / "report.jsonl"
    ProgramReport(str(path)).progress(fraction, "")
    assert json.loads(path.read_text())["progress"] == shown


@pytest.mark.parametrize("path", [None, ""])
def test_without_a_file_people_are_told_all_the_same(
    path: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ProgramReport(path)
    report.progress(0.5, "half")
    report.result({})
    assert capsys.readouterr() == ("half\n", "")
