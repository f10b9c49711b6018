"""Which Job runs next: priority, then arrival, within the limits. Read from the events."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise
from typing import Any

from tests.contract.server import Server

# Each type has a queue of its own inside; the order is that of all of them together.
QUICK: list[tuple[str, dict[str, Any]]] = [("ok", {}), ("skips", {"code": 0}), ("echo", {})]


def queue(server: Server, priorities: list[int], **fields: Any) -> list[str]:
    """Queue one Job for each priority, of three types in turn; their ids."""
    return [
        server.submit(type, params, priority=p, **fields)["job_id"]
        for p, (type, params) in zip(priorities, cycle(QUICK), strict=False)
    ]


def test_the_higher_priority_runs_first(server: Server) -> None:
    server.post("/scheduler/stop")
    seq = server.last_seq()
    low, middle, high = queue(server, [0, 50, 100])
    server.post("/scheduler/start")
    assert server.start_order(3, seq) == [high, middle, low]
    for job_id in (low, middle, high):
        assert server.until(job_id)["status"] == "COMPLETED"
    started = [server.job(job_id)["started_at"] for job_id in (high, middle, low)]
    assert started == sorted(started)


def test_equals_run_in_the_order_of_their_arrival(server: Server) -> None:
    server.post("/scheduler/stop")
    seq = server.last_seq()
    priorities = [5, 5, 0, 9, 5, 0, 9, 5]
    ids = queue(server, priorities)
    batch = {"jobs": [{"type": "ok", "priority": p} for p in priorities]}
    ids += [item["job_id"] for item in server.post("/jobs/batch", batch, status=201)["jobs"]]
    server.post("/scheduler/start")
    places = sorted(range(16), key=lambda i: (-(priorities * 2)[i], i))
    assert server.start_order(16, seq) == [ids[i] for i in places]


def test_one_runs_after_the_other(server: Server) -> None:
    server.post("/scheduler/stop")
    ids = queue(server, [0] * 6)
    server.post("/scheduler/start")
    runs = [server.run_of(server.until(job_id)["job_id"]) for job_id in ids]
    for before, after in pairwise(runs):
        assert before["finished_at"] <= after["started_at"]


def test_a_late_urgent_job_overtakes_the_queue_but_not_the_running_one(
    server: Server, gate: Any
) -> None:
    seq = server.last_seq()
    running = server.hold(gate)["job_id"]
    first, second = queue(server, [1, 1])
    (urgent,) = queue(server, [100])
    assert server.job(running)["status"] == "RUNNING"
    gate.open()
    assert server.start_order(4, seq) == [running, urgent, first, second]


def test_a_patched_priority_counts(server: Server) -> None:
    server.post("/scheduler/stop")
    seq = server.last_seq()
    first, second, third = queue(server, [10, 10, 10])
    server.client.patch(f"/jobs/{third}", json={"priority": 11})
    server.client.patch(f"/jobs/{first}", json={"priority": 0})
    server.post("/scheduler/start")
    assert server.start_order(3, seq) == [third, second, first]


def test_a_deferred_job_keeps_its_place_when_its_time_comes(server: Server, gate: Any) -> None:
    seq = server.last_seq()
    running = server.hold(gate)["job_id"]
    at = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
    early, late = queue(server, [5, 50], run_at=at)
    (now,) = queue(server, [5])
    server.eventually(lambda: server.status()["deferred"] == 0, "both are due")
    gate.open()
    assert server.start_order(4, seq) == [running, late, early, now]


def test_a_deferred_urgent_job_holds_nobody_up(server: Server) -> None:
    (urgent,) = queue(server, [100], run_at="2126-01-01T00:00:00Z")
    assert server.run("ok")["status"] == "COMPLETED"
    assert server.job(urgent)["status"] == "QUEUED"


def test_what_is_cancelled_is_passed_over(server: Server, gate: Any) -> None:
    seq = server.last_seq()
    running = server.hold(gate)["job_id"]
    first, second = queue(server, [9, 1])
    server.client.delete(f"/jobs/{first}")
    gate.open()
    assert server.start_order(2, seq) == [running, second]
    assert server.get(f"/jobs/{first}/runs")["total"] == 0


def test_concurrency_changes_while_running(server: Server, new_gate: Callable[[], Any]) -> None:
    gates = [new_gate() for _ in range(4)]
    ids = [server.submit("gate", {"path": gate.path})["job_id"] for gate in gates]
    server.until(ids[0], "RUNNING")
    assert server.status()["running_job_ids"] == ids[:1]
    answer = server.client.patch("/scheduler/config", json={"concurrency": 3})
    assert answer.json()["concurrency"] == 3
    status = server.status()
    assert (status["running_job_ids"], status["concurrency"]) == (ids[:3], 3)
    assert status["current_job_id"] == ids[0]
    assert status["queue_length"] == 1
    server.client.patch("/scheduler/config", json={"concurrency": 1})
    assert server.status()["running_job_ids"] == ids[:3]
    gates[0].open()
    gates[1].open()
    server.until(ids[0])
    server.until(ids[1])
    assert server.status()["running_job_ids"] == ids[2:3]
    assert server.job(ids[3])["status"] == "QUEUED"
    gates[2].open()
    server.until(ids[3], "RUNNING")
    gates[3].open()
    assert server.until(ids[3])["status"] == "COMPLETED"


def test_a_type_at_its_limit_waits_and_lets_others_pass(
    server: Server, new_gate: Callable[[], Any]
) -> None:
    server.client.patch("/scheduler/config", json={"concurrency": 3})
    first, second, third = (new_gate() for _ in range(3))
    one = server.submit("single", {"path": first.path}, priority=9)["job_id"]
    two = server.submit("single", {"path": second.path}, priority=9)["job_id"]
    other = server.submit("gate", {"path": third.path})["job_id"]
    server.until(other, "RUNNING")
    assert server.status()["running_job_ids"] == [one, other]
    assert server.job(two)["status"] == "QUEUED"
    patch = {"types": {"single": 2}}
    config = server.client.patch("/scheduler/config", json=patch).json()
    assert config["types"]["single"] == 2
    assert server.status()["running_job_ids"] == [one, other, two]
    server.client.patch("/scheduler/config", json={"types": {"single": None}})
    assert server.get("/scheduler/config")["types"]["single"] == 1
    first.open()
    second.open()
    third.open()
    for job_id in (one, two, other):
        assert server.until(job_id)["status"] == "COMPLETED"


def test_limits_are_never_exceeded_under_load(server: Server) -> None:
    server.client.patch("/scheduler/config", json={"concurrency": 3, "types": {"ok": 2}})
    seq = server.last_seq()
    batch = [{"type": t, "params": p} for t, p in [("ok", {}), ("exit", {"code": 1})] * 20]
    for _ in range(2):
        server.post("/jobs/batch", {"jobs": batch}, status=201)
    running: dict[str, str] = {}
    most = {"all": 0, "ok": 0}
    ended = 0

    def see(event: Any) -> bool:
        nonlocal ended
        if event["kind"] == "run.started":
            running[event["run_id"]] = event["data"]["type"]
        elif event["kind"] == "run.finished":
            del running[event["run_id"]]
            ended += 1
        most["all"] = max(most["all"], len(running))
        most["ok"] = max(most["ok"], list(running.values()).count("ok"))
        return ended == 80

    server.events(see, seq)
    assert most == {"all": 3, "ok": 2}


def test_after_a_long_downtime_the_most_urgent_due_job_is_still_first(
    launch: Callable[..., Any],
) -> None:
    """More Jobs become due at once than one transaction promotes."""
    server = launch()
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    batch = [{"type": "ok", "run_at": at.isoformat()}] * 600
    server.post("/jobs/batch", {"jobs": batch}, status=201)
    (urgent,) = queue(server, [100], run_at=(at + timedelta(seconds=0.01)).isoformat())
    seq = server.last_seq()
    server.kill()
    server.eventually(lambda: datetime.now(UTC) > at + timedelta(seconds=0.1), "all are due")
    server.start()
    assert server.start_order(1, seq) == [urgent]
    server.post("/scheduler/stop")
