"""Results of a bench: figures with their goals, and where and how they were measured.

Invariant: a figure keeps every round, so its median never hides its range; a goal is judged on the
median. Results are appended, one line of JSON each, and never rewritten.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

RESULTS_DIR = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that the median must keep."""

    bound: float
    at_most: bool

    def met_by(self, value: float) -> bool:
        """Whether the value keeps the bound."""
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"


def at_most(bound: float) -> Goal:
    """The goal not to exceed `bound`."""
    return Goal(bound, at_most=True)


def at_least(bound: float) -> Goal:
    """The goal to reach `bound`."""
    return Goal(bound, at_most=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured: a value a round. Unit `ratio`: of two things measured in one round."""

    name: str
    unit: str
    values: tuple[float, ...]
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return None if self.goal is None else self.goal.met_by(self.median)

    def as_json(self) -> dict[str, Any]:
        """Median, range, goal."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": rounded(self.median),
            "low": rounded(min(self.values)),
            "high": rounded(max(self.values)),
            "rounds": len(self.values),
            "goal": None if self.goal is None else str(self.goal),
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one bench. Notes are for readers of the figures."""

    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A report with its circumstances."""

    bench: str
    report: Report
    date: str
    commit: str
    machine: Mapping[str, Any]
    command: str
    quick: bool

    @property
    def met(self) -> bool | None:
        """Whether every goal is met; None without goals."""
        judged = [figure.met for figure in self.report.figures if figure.goal is not None]
        return all(judged) if judged else None

    def as_json(self) -> dict[str, Any]:
        """All of it, for a line of the results file."""
        return {
            "bench": self.bench,
            "met": self.met,
            "figures": [figure.as_json() for figure in self.report.figures],
            "notes": list(self.report.notes),
            "date": self.date,
            "commit": self.commit,
            "machine": dict(self.machine),
            "command": self.command,
            "quick": self.quick,
        }


def ratio(name: str, above: Figure, below: Figure, goal: Goal | None = None) -> Figure:
    """Round by round `above` over `below`."""
    pairs = zip(above.values, below.values, strict=True)
    return Figure(name, "ratio", tuple(a / b for a, b in pairs), goal)


def percentile(values: Sequence[float], p: float) -> float:
    """Nearest rank: the smallest value that at least p per cent of all do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * p // 100)
    return ordered[max(0, int(rank) - 1)]


def rounded(value: float) -> float:
    """Four significant digits, the precision of the machine."""
    return float(f"{value:.4g}")


def table(result: Result) -> str:
    """A table for people: a line for each figure."""
    rows = [("", "median", "range", "goal", "")]
    for figure in result.report.figures:
        unit = "×" if figure.unit == "ratio" else figure.unit
        spread = f"{shown(min(figure.values))} … {shown(max(figure.values))}"
        verdict = {True: "met", False: "NOT MET", None: ""}[figure.met]
        goal = "" if figure.goal is None else str(figure.goal)
        rows.append((figure.name, f"{shown(figure.median)} {unit}", spread, goal, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    machine = ", ".join(f"{key} {value}" for key, value in result.machine.items())
    title = f"{result.bench}{' (quick)' if result.quick else ''}  {result.date}  {result.commit}"
    notes = [f"note: {note}" for note in result.report.notes]
    return "\n".join([title, *lines, *notes, machine, f"$ {result.command}"])


def shown(value: float) -> str:
    """Short, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def keep(result: Result, directory: Path = RESULTS_DIR) -> Path:
    """Append the result to its bench's file."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{result.bench}.json"
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result.as_json(), ensure_ascii=False) + "\n")
    return path
