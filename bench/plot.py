"""Draw the results in `results/`: a picture for each bench, from its newest result.

A bar is the median of the rounds, the line over it their range, the mark the goal. Nothing is
measured here, and the picture names date, commit, machine and command, as the result does.
"""

import json
from pathlib import Path
from typing import Any

from bench.result import RESULTS_DIR

PLOTS_DIR = RESULTS_DIR / "plots"
INCHES_A_FIGURE, INCHES_A_UNIT, WIDTH_INCHES = 0.32, 0.9, 9.0
LOGARITHMIC_FROM = 50.0
"""If the figures of a unit differ by this factor its axis is logarithmic."""


def plot(results: Path = RESULTS_DIR, plots: Path = PLOTS_DIR) -> list[Path]:
    """Draw all of them; returns the files."""
    plots.mkdir(parents=True, exist_ok=True)
    return [
        _draw(newest, plots / f"{file.stem}.svg")
        for file in sorted(results.glob("*.json"))
        if (newest := _newest(file)) is not None
    ]


def _newest(file: Path) -> dict[str, Any] | None:
    found = None
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith('{"bench"'):
            found = json.loads(line)
    return found


def _draw(result: dict[str, Any], file: Path) -> Path:
    # The extra `bench` only: it takes half a second to import.
    import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]

    # The same results give the same file; text stays text.
    mpl.rcParams.update({"svg.hashsalt": "headway", "svg.fonttype": "none"})
    units: dict[str, list[dict[str, Any]]] = {}
    for figure in result["figures"]:
        units.setdefault(figure["unit"], []).append(figure)
    heights = [len(found) * INCHES_A_FIGURE + INCHES_A_UNIT for found in units.values()]
    picture = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.8), layout="constrained")
    panels = picture.subplots(len(units), 1, squeeze=False, height_ratios=heights)
    for (unit, figures), (panel,) in zip(units.items(), panels, strict=True):
        _panel(panel, unit, figures)
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    picture.suptitle(
        f"{result['bench']}: {result['date']}, {result['commit']}\n{machine}\n{result['command']}",
        fontsize=8,
    )
    picture.savefig(file, format="svg", metadata={"Date": None})
    return file


def _panel(panel: Any, unit: str, figures: list[dict[str, Any]]) -> None:
    rows = range(len(figures))
    medians = [figure["median"] for figure in figures]
    spread = [
        [figure["median"] - figure["low"] for figure in figures],
        [figure["high"] - figure["median"] for figure in figures],
    ]
    colours = [{True: "#4a8", False: "#c64", None: "#8ab"}[figure["met"]] for figure in figures]
    panel.barh(rows, medians, xerr=spread, color=colours, height=0.6, capsize=2)
    for row, figure in zip(rows, figures, strict=True):
        if figure["goal"] is not None:
            goal = float(figure["goal"].split()[1])
            panel.plot([goal, goal], [row - 0.42, row + 0.42], color="black", linewidth=2)
    panel.set_yticks(rows, [figure["name"] for figure in figures], fontsize=8)
    panel.invert_yaxis()
    panel.set_xlabel("×" if unit == "ratio" else unit, fontsize=8)
    if min(medians) > 0 and max(medians) / min(medians) > LOGARITHMIC_FROM:
        panel.set_xscale("log")
