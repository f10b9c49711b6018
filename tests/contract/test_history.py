"""/scheduler/history: what the charts show, also after a restart."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.contract.server import Server


def ended(history: Any) -> dict[str, int]:
    names = ("completed", "failed", "skipped", "cancelled")
    return {name: sum(point[name] for point in history["points"]) for name in names}


@pytest.mark.parametrize(("span", "step_s", "points"), [
    ("hour", 60, 61), ("day", 900, 97), ("week", 3600, 169),
])  # fmt: skip
def test_a_chart_has_its_points(server: Server, span: str, step_s: int, points: int) -> None:
    history = server.get("/scheduler/history", span=span)
    assert (history["step_s"], len(history["points"])) == (step_s, points)
    begin, *moments, end = (
        datetime.fromisoformat(at)
        for at in (history["from"], *(p["at"] for p in history["points"]), history["to"])
    )
    assert moments == sorted(moments)
    assert {(after - at).total_seconds() for at, after in pairwise([begin, *moments[:-1]])} == {
        step_s
    }
    assert end == moments[-1]


def test_it_shows_what_happened_also_after_a_restart(server: Server) -> None:
    before = ended(server.get("/scheduler/history"))
    length = server.get("/scheduler/history")["points"][-1]["queue_length"]
    server.run("ok")
    server.run("exit", {"code": 1})
    server.run("skips", {"code": 3})
    server.post("/scheduler/stop")
    gone = server.submit("ok")["job_id"]
    server.submit("ok")
    server.client.delete(f"/jobs/{gone}")
    first = server.get("/scheduler/history")
    assert {name: n - before[name] for name, n in ended(first).items()} == {
        "completed": 1, "failed": 1, "skipped": 1, "cancelled": 1,
    }  # fmt: skip
    assert first["points"][-1]["queue_length"] == length + 1
    assert first["points"][0]["queue_length"] == 0
    server.restart()
    again = server.get("/scheduler/history")
    assert ended(again) == ended(first)
    assert again["points"][-1]["queue_length"] == length + 1
    measured = [point["run_s"] for point in again["points"] if point["run_s"]]
    assert all(0 < times["p50"] <= times["p95"] <= times["p99"] < 60 for times in measured)
    server.post("/scheduler/start")


def test_another_span_is_refused(server: Server) -> None:
    answer = server.client.get("/scheduler/history", params={"span": "year"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
