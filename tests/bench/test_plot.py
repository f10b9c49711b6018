"""Pictures from results."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.plot import plot
from bench.result import Figure, Report, Result, at_least, keep

pytest.importorskip("matplotlib", reason="it comes with the extra `bench`")


def result(value: float) -> Result:
    figures = (
        Figure("headway / other", "ratio", (value, value * 2), at_least(1)),
        Figure("headway", "/s", (1000.0,)),
        Figure("other", "/s", (0.5,)),
    )
    return Result(
        bench="submit",
        report=Report(figures),
        date="2026-01-02T03:04:05Z",
        commit=f"c{value:g}",
        machine={"cores": 2},
        command="python -m bench submit",
        quick=False,
    )


def test_the_newest_result_of_each_bench_is_drawn(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        keep(result(value), tmp_path)
    (tmp_path / "quick.json").write_text(json.dumps({"ratios": {}}, indent=1))
    (file,) = plot(tmp_path, tmp_path / "plots")
    assert file.name == "submit.svg"
    drawn = file.read_text()
    ElementTree.fromstring(drawn)
    for text in ("headway / other", "2026-01-02T03:04:05Z", "c2", "python -m bench submit"):
        assert text in drawn
    assert "c1" not in ElementTree.tostring(ElementTree.fromstring(drawn), method="text").decode()


def test_the_same_results_give_the_same_file(tmp_path: Path) -> None:
    keep(result(1.0), tmp_path)
    first = plot(tmp_path, tmp_path / "a")[0].read_bytes()
    assert plot(tmp_path, tmp_path / "b")[0].read_bytes() == first
