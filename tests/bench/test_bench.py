"""The pure parts of the benches: figures, goals, the format of results, the wire."""

import json
from pathlib import Path

import pytest

from bench.__main__ import BENCHES, Bench, main
from bench.pause import PAUSE_S, pauses
from bench.result import (
    Figure,
    Report,
    Result,
    at_least,
    at_most,
    keep,
    percentile,
    ratio,
    rounded,
    table,
)
from bench.wire import Unexpected, address_of, parse_head, request_bytes


def result(*figures: Figure) -> Result:
    return Result(
        bench="submit",
        report=Report(figures, ("a note",)),
        date="2026-01-02T03:04:05Z",
        commit="abc",
        machine={"cores": 2, "kernel": "6.1", "python": "3.11"},
        command="python -m bench submit",
        quick=False,
    )


class TestPercentile:
    @pytest.mark.parametrize(
        ("p", "expected"), [(0, 1), (50, 2), (51, 3), (75, 3), (99, 4), (100, 4)]
    )
    def test_takes_the_nearest_rank(self, p: float, expected: float) -> None:
        assert percentile([4, 1, 3, 2], p) == expected

    def test_of_one_value_is_that_value(self) -> None:
        assert percentile([7.5], 99) == 7.5


class TestFigures:
    def test_a_ratio_is_taken_round_by_round(self) -> None:
        ours, theirs = Figure("a", "/s", (10, 30, 20)), Figure("b", "/s", (10, 10, 40))
        assert ratio("a / b", ours, theirs).values == (1, 3, 0.5)

    def test_a_ratio_needs_as_many_rounds_on_both_sides(self) -> None:
        with pytest.raises(ValueError, match="shorter"):
            ratio("a / b", Figure("a", "/s", (1, 2)), Figure("b", "/s", (1,)))

    def test_goals_are_judged_on_the_median(self) -> None:
        assert Figure("x", "ratio", (0.1, 0.9, 5), at_least(0.8)).met is True
        assert Figure("x", "ratio", (0.1, 0.7, 5), at_least(0.8)).met is False
        assert Figure("x", "s", (0.1, 1.0, 5), at_most(1)).met is True
        assert Figure("x", "s", (0.1, 1.1, 1.2), at_most(1)).met is False
        assert Figure("x", "s", (1,)).met is None

    def test_figures_are_rounded_to_four_digits(self) -> None:
        assert rounded(12345.678) == 12350
        assert rounded(0.000123456) == 0.0001235
        assert rounded(0) == 0


class TestResults:
    def test_a_result_is_met_when_each_of_its_goals_is(self) -> None:
        good, bad = Figure("g", "s", (1,), at_most(1)), Figure("b", "s", (2,), at_most(1))
        assert result(good).met is True
        assert result(good, bad).met is False
        assert result(Figure("n", "s", (1,))).met is None

    def test_says_what_when_where_and_how(self) -> None:
        written = result(Figure("g", "ratio", (0.5, 1.5, 1.0), at_least(0.8))).as_json()
        assert written["figures"] == [
            {
                "name": "g",
                "unit": "ratio",
                "median": 1.0,
                "low": 0.5,
                "high": 1.5,
                "rounds": 3,
                "goal": "≥ 0.8",
                "met": True,
            }
        ]
        assert {key: written[key] for key in ("bench", "met", "date", "commit", "command")} == {
            "bench": "submit",
            "met": True,
            "date": "2026-01-02T03:04:05Z",
            "commit": "abc",
            "command": "python -m bench submit",
        }
        assert written["machine"] == {"cores": 2, "kernel": "6.1", "python": "3.11"}

    def test_results_are_appended_a_line_each(self, tmp_path: Path) -> None:
        for value in (1, 2):
            path = keep(result(Figure("g", "s", (value,))), tmp_path / "results")
        lines = path.read_text(encoding="utf-8").splitlines()
        assert path.name == "submit.json"
        assert [json.loads(line)["figures"][0]["median"] for line in lines] == [1, 2]

    def test_the_table_shows_goal_and_verdict(self) -> None:
        shown = table(result(Figure("speed", "ratio", (0.5,), at_least(0.8))))
        assert "speed  0.5 ×" in shown
        assert "≥ 0.8  NOT MET" in shown
        assert "note: a note" in shown
        assert shown.endswith("$ python -m bench submit")


class TestWire:
    def test_parses_the_head_of_an_answer(self) -> None:
        data = b"HTTP/1.1 201 \r\nLocation: /x\r\nCONTENT-LENGTH: 12\r\n\r\n{"
        assert parse_head(data) == (201, len(data) - 1, 12)

    def test_waits_for_the_whole_head(self) -> None:
        assert parse_head(b"HTTP/1.1 200 \r\ncontent-length: 2\r\n") is None

    def test_refuses_an_answer_without_a_length(self) -> None:
        with pytest.raises(Unexpected, match="Content-Length"):
            parse_head(b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n")

    def test_writes_a_whole_request(self) -> None:
        assert request_bytes("POST", "/jobs", "h:1", b"{}", {"Prefer": "wait=1"}) == (
            b"POST /jobs HTTP/1.1\r\nHost: h:1\r\nPrefer: wait=1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        assert request_bytes("GET", "/jobs", "h:1") == b"GET /jobs HTTP/1.1\r\nHost: h:1\r\n\r\n"

    def test_reads_the_address_of_a_url(self) -> None:
        assert address_of("http://127.0.0.1:8787") == ("127.0.0.1", 8787)


class TestCommandLine:
    def test_list_names_every_bench_with_a_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list(BENCHES)
        assert all(len(line.split()) > 3 for line in lines)

    def test_an_unknown_bench_is_a_usage_error(self) -> None:
        with pytest.raises(SystemExit) as exit:
            main(["speed"])
        assert exit.value.code == 2


class Scripted:
    """A bench that finds what it is told to, one value a run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
        self.left = list(values)
        monkeypatch.setattr("bench.__main__.BENCHES", {"submit": Bench("as told", self.run)})
        monkeypatch.setattr("bench.guard.kept", lambda: {"submit": {"a / b": 3.0}})
        monkeypatch.setattr("bench.guard.keep", lambda results: kept.extend(results))
        kept: list[Result] = []
        self.kept = kept

    def run(self, directory: Path, quick: bool) -> Report:
        assert quick
        return Report((Figure("a / b", "ratio", (self.left.pop(0),), at_least(2)),))


class TestGuard:
    @pytest.mark.parametrize(
        ("values", "status"),
        [((3.0,), 0), ((1.9, 3.0), 0), ((1.9, 1.9), 3)],
        ids=["level", "a fall that is not confirmed", "a fall"],
    )
    def test_a_fall_counts_when_it_is_seen_twice(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        values: tuple[float, ...],
        status: int,
    ) -> None:
        bench = Scripted(monkeypatch, *values)
        assert main(["all", "--quick", "--guard"]) == status
        assert bench.left == []
        said = capsys.readouterr().out
        assert ("no ratio has fallen" in said) is (status == 0)
        assert said.count("is measured once more") == len(values) - 1

    def test_a_missed_goal_is_said_and_fails_only_without_guard(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("bench.guard.fallen", lambda result, before: {})
        Scripted(monkeypatch, 1.0, 1.0)
        assert main(["submit", "--quick", "--guard"]) == 0
        assert main(["submit", "--quick"]) == 1
        assert capsys.readouterr().out.count("goals not met:\n  submit: a / b\n") == 2

    def test_keep_keeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = Scripted(monkeypatch, 5.0)
        assert main(["all", "--quick", "--keep"]) == 0
        assert [result.report.figures[0].median for result in bench.kept] == [5.0]

    def test_it_is_about_quick_runs(self) -> None:
        with pytest.raises(SystemExit) as exit:
            main(["submit", "--guard"])
        assert exit.value.code == 2


def test_pauses_are_the_same_for_every_side() -> None:
    assert list(pauses(5)) == list(pauses(5))
    assert all(PAUSE_S[0] <= pause <= PAUSE_S[1] for pause in pauses(100))
