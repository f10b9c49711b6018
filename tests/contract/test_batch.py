"""POST /jobs/batch: all or none, in order, within limits."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.server import Server


def test_a_batch_keeps_its_order(stopped: Server) -> None:
    body = {"jobs": [{"type": "ok", "name": f"batched {n}"} for n in range(20)]}
    items = stopped.post("/jobs/batch", body, status=201)["jobs"]
    assert all(set(item) == {"job_id", "position"} for item in items)
    positions = [item["position"] for item in items]
    assert positions == list(range(positions[0], positions[0] + 20))
    assert [stopped.job(i["job_id"])["name"] for i in items] == [j["name"] for j in body["jobs"]]


@pytest.mark.parametrize(
    ("bad", "pointer", "code"),
    [
        ({"type": "no-such"}, "/jobs/2/type", "unknown_type"),
        ({"type": "ok", "priority": 101}, "/jobs/2/priority", "invalid"),
        ({"type": "echo", "params": {"count": 0}}, "/jobs/2/params/count", "invalid"),
        ({"type": "ok", "surprise": 1}, "/jobs/2/surprise", "invalid"),
        ({"type": "ok", "timeout_s": 9999}, "/jobs/2/timeout_s", "invalid"),
        ({"type": "ok", "time": "20270101"}, "/jobs/2/run_at", "invalid"),
        (
            {"type": "ok", "time": "2126-01-01T00:00:00Z", "expires_at": "2125-01-01T00:00:00Z"},
            "/jobs/2/expires_at",
            "invalid",
        ),
        (5, "/jobs/2", "invalid"),
    ],
)
def test_a_bad_item_refuses_the_whole_batch_and_is_named(
    stopped: Server, bad: Any, pointer: str, code: str
) -> None:
    before = stopped.last_seq()
    body = {"jobs": [{"type": "ok"}, {"type": "ok"}, bad, {"type": "ok"}]}
    answer = stopped.client.post("/jobs/batch", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]
    assert stopped.last_seq() == before


@pytest.mark.parametrize("body", [{}, {"jobs": []}, {"jobs": {}}, {"jobs": [], "more": 1}, []])
def test_a_batch_must_hold_jobs(stopped: Server, body: Any) -> None:
    assert stopped.client.post("/jobs/batch", json=body).status_code == 422


def test_a_batch_holds_at_most_10_000(launch: Callable[..., Any]) -> None:
    server = launch()
    item = {"type": "ok", "expires_at": "2020-01-01T00:00:00Z"}
    before = server.last_seq()
    answer = server.client.post("/jobs/batch", json={"jobs": [item] * 10_001})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["errors"][0]["pointer"] == "/jobs"
    assert server.last_seq() == before
    assert len(server.post("/jobs/batch", {"jobs": [item] * 10_000}, status=201)["jobs"]) == 10_000
    skipped = server.eventually(lambda: server.status()["queue_length"] == 0, "all have expired")
    assert skipped
    counts = server.get("/jobs", limit=1)["counts"]
    assert (counts["SKIPPED"], sum(counts.values())) == (10_000, 10_000)
    assert server.rows("SELECT count(*) FROM job_runs") == [(0,)]


def test_a_full_queue_says_when_to_come_again(launch: Callable[..., Any]) -> None:
    server = launch("", "\n[scheduler]\nmax_queued = 3\n")
    server.post("/scheduler/stop")
    server.submit("ok")
    answer = server.client.post("/jobs/batch", json={"jobs": [{"type": "ok"}] * 3})
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert server.status()["queue_length"] == 1
    server.post("/jobs/batch", {"jobs": [{"type": "ok"}] * 2}, status=201)
    assert server.client.post("/jobs", json={"type": "ok"}).json()["code"] == "queue_full"
