"""Whether a ratio has fallen: CI runs `python -m bench NAME … --quick --guard`.

The medians of one quick run are kept (`--keep`). On a shared machine single rounds are disturbed,
mostly for the worse; so a ratio counts by its best round. It has fallen when even that is worse by
more than a third than the kept one, or by half than its goal if the kept one was better than the
goal. Such a bench is measured once more before it counts.
"""

import json
from pathlib import Path
from typing import Any

from bench.result import RESULTS_DIR, Figure, Goal, Result, rounded

KEPT = RESULTS_DIR / "quick.json"
FALL = 2 / 3

Ratios = dict[str, dict[str, float]]
"""By bench, by name."""


def guarded(result: Result) -> list[Figure]:
    """The ratios whose goal defines which direction is worse."""
    return [f for f in result.report.figures if f.unit == "ratio" and f.goal is not None]


def kept(path: Path = KEPT) -> Ratios:
    """The kept ratios; none without the file."""
    if not path.exists():
        return {}
    ratios: Ratios = json.loads(path.read_text(encoding="utf-8"))["ratios"]
    return ratios


def fallen(result: Result, before: Ratios) -> dict[str, str]:
    """The ratios that are worse than kept, each with a sentence."""
    old = before.get(result.bench, {})
    found = {}
    for figure in guarded(result):
        assert figure.goal is not None
        best = min(figure.values) if figure.goal.at_most else max(figure.values)
        if figure.name in old and not _is_near(figure.goal, best, old[figure.name]):
            found[figure.name] = (
                f"{result.bench}: {figure.name} was {old[figure.name]:g}, its best round is now"
                f" {rounded(best):g} (goal {figure.goal})"
            )
    return found


def _is_near(goal: Goal, best: float, old: float) -> bool:
    """Far beyond its goal a ratio depends on the disk (Huey's 10,000 fsyncs), not on headway."""
    if goal.at_most:
        return best <= max(old, goal.bound * FALL) / FALL
    return best >= min(old, goal.bound / FALL) * FALL


def keep(results: list[Result], path: Path = KEPT) -> None:
    """Keep the ratios of these benches, with where they were measured; others are unchanged."""
    ratios = kept(path)
    for result in results:
        ratios[result.bench] = {f.name: rounded(f.median) for f in guarded(result)}
    last = results[-1]
    whole: dict[str, Any] = {
        "date": last.date,
        "commit": last.commit,
        "machine": dict(last.machine),
        "command": last.command,
        "ratios": ratios,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
