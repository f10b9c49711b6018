"""`headway scheduler` against an imagined server."""

import json

import pytest

from tests.headway.cli.imagined_server import (
    CONFIG,
    STATUS,
    Server,
    headway,
)


def test_history_leaves_quiet_steps_out(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = {
        "queue_length": 2, "completed": 0, "failed": 0, "skipped": 0, "cancelled": 0,
        "wait_s": None, "run_s": None,
    }  # fmt: skip
    times = {"p50": 0.25, "p95": 3.0, "p99": 70.0}
    points = [
        quiet | {"at": "2031-05-01T08:01:00Z"},
        quiet | {"at": "2031-05-01T08:02:00Z"},
        quiet | {"at": "2031-05-01T08:03:00Z", "failed": 4, "wait_s": times, "run_s": times},
        quiet | {"at": "2031-05-01T08:03:20Z"},
    ]
    ends = {"from": "2031-05-01T08:00:00Z", "to": "2031-05-01T08:03:20Z"}
    server["GET /scheduler/history"] = {**ends, "step_s": 60, "points": points}
    assert headway("scheduler", "history", "day") == 0
    out = capsys.readouterr().out
    assert server.sent("GET /scheduler/history").query == {"span": ["day"]}
    assert [line[:20].strip() for line in out.splitlines()] == [
        "UNTIL", "2031-05-01 08:01:00Z", "2031-05-01 08:03:00Z", "2031-05-01 08:03:20Z",
    ]  # fmt: skip
    assert "250 ms, 3 s" in out
    assert headway("scheduler", "history", "--json") == 0
    assert json.loads(capsys.readouterr().out)["from"] == "2031-05-01T08:00:00Z"


def test_the_scheduler_is_started_stopped_and_shown(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /scheduler/start"] = STATUS | {"scheduler_running": True}
    server["POST /scheduler/stop"] = STATUS
    server["GET /scheduler/status"] = STATUS
    assert headway("scheduler", "start") == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["Scheduler", "running"]
    assert headway("scheduler", "stop", "--wait-s", "2.5") == 0
    assert server.sent("POST /scheduler/stop").body == {"wait_s": 2.5}
    out = capsys.readouterr().out
    assert "5 (4 may start, 1 wait)" in out
    assert "38 succeeded, 3 failed, 1 skipped" in out
    assert headway("scheduler", "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == STATUS
    server["GET /scheduler/status"] = STATUS | {"unconfigured": {"gone": 2, "old": 1}}
    assert headway("scheduler", "status") == 0
    assert "Not configured  2 of type gone, 1 of type old" in capsys.readouterr().out


def test_concurrency_is_set(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["PATCH /scheduler/config"] = CONFIG
    assert headway("scheduler", "concurrency", "3") == 0
    assert server.sent("PATCH /scheduler/config").body == {"concurrency": 3}
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["All", "at most 3 at once"]
    assert lines[2] == ["research", "no limit of its own"]
