"""/scheduler: start, stop, status, limits, reservations; the figures."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.contract.server import Server

STATUS_FIELDS = {
    *("scheduler_running", "current_job_id", "running_job_ids", "queue_length", "eligible"),
    *("deferred", "cumulative_stats", "has_active_reservation", "concurrency", "started_at"),
    *("durability", "host_condition", "unconfigured"),
}


def recount(server: Server) -> dict[str, int]:
    """cumulative_stats, counted anew from the rows."""
    sql = "SELECT status, count(*) FROM job_runs WHERE status <> 'RUNNING' GROUP BY status"
    runs = dict(server.rows(sql))
    (cancelled,) = server.rows("SELECT count(*) FROM jobs WHERE status = 'CANCELLED'")[0]
    return {
        "total_executed": sum(runs.values()),
        "succeeded": runs.get("COMPLETED", 0),
        "failed": runs.get("FAILED", 0),
        "skipped": runs.get("SKIPPED", 0),
        "cancelled": cancelled,
    }


def test_the_status_of_an_idle_server(server: Server) -> None:
    status = server.status()
    assert set(status) == STATUS_FIELDS
    assert status["scheduler_running"] is True
    assert status["current_job_id"] is None
    assert status["running_job_ids"] == []
    assert status["concurrency"] == 1
    assert status["durability"] == "full"
    assert status["has_active_reservation"] is False
    assert status["host_condition"] is None
    assert status["unconfigured"] == {}
    assert status["started_at"].endswith("Z")


def test_stop_lets_the_running_job_finish_and_starts_no_other(server: Server, gate: Any) -> None:
    running = server.hold(gate)["job_id"]
    waiting = server.submit("ok")["job_id"]
    status = server.post("/scheduler/stop", {"wait_s": 0})
    assert (status["scheduler_running"], status["running_job_ids"]) == (False, [running])
    call = server.background(server.post, "/scheduler/stop", {"wait_s": 14})
    gate.open()
    status = call.result()
    assert status["running_job_ids"] == []
    assert status["queue_length"] == 1
    assert server.job(running)["status"] == "COMPLETED"
    assert server.job(waiting)["status"] == "QUEUED"
    seq = server.last_seq()
    assert server.post("/scheduler/stop")["scheduler_running"] is False
    assert server.last_seq() == seq, "stopping twice is one event"
    assert server.post("/scheduler/start")["scheduler_running"] is True
    assert server.until(waiting)["status"] == "COMPLETED"
    seq = server.last_seq()
    assert server.post("/scheduler/start")["scheduler_running"] is True
    assert server.last_seq() == seq


def test_stop_waits_no_longer_than_it_was_told(server: Server, gate: Any) -> None:
    running = server.hold(gate)["job_id"]
    begun = time.monotonic()
    status = server.post("/scheduler/stop", {"wait_s": 0.4})
    assert time.monotonic() - begun >= 0.4
    assert status["running_job_ids"] == [running]


def test_stop_waits_for_a_direct_run_too(server: Server, gate: Any) -> None:
    body = {"params": {"path": gate.path}}
    direct = server.background(server.post, "/direct/gate", body)
    sql = "SELECT 1 FROM job_runs WHERE status = 'RUNNING'"
    server.eventually(lambda: server.rows(sql), "the direct run runs")
    begun = time.monotonic()
    server.post("/scheduler/stop", {"wait_s": 0.5})
    waited_s = time.monotonic() - begun
    gate.open()
    assert direct.result()["status"] == "COMPLETED"
    assert waited_s >= 0.5, "it is not idle while a program runs"


@pytest.mark.parametrize(
    "body", [{"wait_s": -1}, {"wait_s": 301}, {"wait_s": "1"}, {"wait_s": None}, {"w": 1}, [], 5]
)
def test_stop_refuses_what_it_does_not_understand(server: Server, body: Any) -> None:
    assert server.client.post("/scheduler/stop", json=body).status_code == 422
    assert server.status()["scheduler_running"] is True


def test_the_status_counts_the_queue(server: Server, gate: Any) -> None:
    running = server.hold(gate)["job_id"]
    server.submit("ok")
    server.submit("ok")
    server.submit("ok", run_at="2126-01-01T00:00:00Z")
    status = server.status()
    assert status["current_job_id"] == running
    assert (status["queue_length"], status["eligible"], status["deferred"]) == (3, 2, 1)


def test_the_figures_count_runs_by_status_and_cancelled_jobs(server: Server, gate: Any) -> None:
    before = server.status()["cumulative_stats"]
    assert before == recount(server)
    server.run("ok")
    server.run("ok")
    server.run("exit", {"code": 1})
    server.run("exit", {"code": 77})
    server.run("ok", expires_at="2020-01-01T00:00:00Z")
    server.post("/direct/exit", {"params": {"code": 2}})
    running = server.hold(gate)["job_id"]
    server.client.delete(f"/jobs/{server.submit('ok')['job_id']}")
    server.client.post(f"/jobs/{running}/cancel")
    server.until(running, "CANCELLED")
    after = server.status()["cumulative_stats"]
    change = {key: after[key] - before[key] for key in after}
    assert change == {
        "total_executed": 6,  # with the direct one and the cancelled one
        "succeeded": 2,
        "failed": 2,
        "skipped": 1,
        "cancelled": 2,
    }
    assert after == recount(server)


# ---- configuration -----------------------------------------------------------------------------


def test_the_configuration_shows_the_limits_in_force(server: Server) -> None:
    config = server.get("/scheduler/config")
    assert config["concurrency"] == 1
    assert config["types"]["single"] == 1
    assert config["types"]["ok"] is None
    assert config["overridden"] == []
    server.client.patch("/scheduler/config", json={"types": {"ok": 4}})
    config = server.client.patch("/scheduler/config", json={"concurrency": 2}).json()
    assert (config["concurrency"], config["types"]["ok"]) == (2, 4)
    assert sorted(config["overridden"]) == ["concurrency", "types.ok"]
    assert server.get("/scheduler/config") == config


@pytest.mark.parametrize(
    "body",
    [
        {"concurrency": 0}, {"concurrency": -1}, {"concurrency": 1.5}, {"concurrency": "2"},
        {"concurrency": True}, {"concurrency": 2**70}, {"types": {"ok": 0}}, {"types": ["ok"]},
        {"types": {"no-such": 1}}, {"surprise": 1}, [],
    ],
    ids=str,
)  # fmt: skip
def test_an_unfit_configuration_is_refused(server: Server, body: Any) -> None:
    before = server.get("/scheduler/config"), server.last_seq()
    answer = server.client.patch("/scheduler/config", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert (server.get("/scheduler/config"), server.last_seq()) == before


# ---- reservations ------------------------------------------------------------------------------


def reserve(server: Server, ttl_s: float) -> Any:
    return server.post("/scheduler/reservations", {"ttl_s": ttl_s}, status=201)


def test_a_reservation_keeps_the_next_slot_empty_until_it_is_released(server: Server) -> None:
    answer = server.client.post("/scheduler/reservations", json={"ttl_s": 60})
    assert answer.status_code == 201
    held = answer.json()
    path = f"/scheduler/reservations/{held['reservation_id']}"
    assert answer.headers["location"] == path
    assert (held["state"], held["kind"]) == ("HELD", "hold")
    assert server.status()["has_active_reservation"] is True
    assert server.get(path) == held
    assert server.get("/scheduler/reservations")["reservations"] == [held]
    job_id = server.submit("ok", priority=100)["job_id"]
    status = server.status()
    assert (status["eligible"], status["running_job_ids"]) == (1, [])
    released = server.client.delete(path)
    assert (released.status_code, released.json()["state"]) == (200, "ENDED")
    assert server.until(job_id)["status"] == "COMPLETED"
    assert server.status()["has_active_reservation"] is False
    assert server.client.delete(path).json() == released.json()


def test_a_reservation_ends_by_itself(server: Server) -> None:
    held = reserve(server, 0.4)
    job = server.submit("ok")
    ended = server.until(job["job_id"], "COMPLETED")
    lasted = datetime.fromisoformat(ended["started_at"]) - datetime.fromisoformat(held["held_at"])
    assert lasted.total_seconds() >= 0.4
    found = server.get(f"/scheduler/reservations/{held['reservation_id']}")
    assert (found["state"], found["end_reason"]) == ("ENDED", "expired")


def test_a_reservation_waits_for_the_running_job_and_its_time_counts_from_then(
    server: Server, gate: Any
) -> None:
    server.hold(gate)
    waiting = reserve(server, 0.3)
    assert waiting["state"] == "WAITING"
    assert waiting["expires_at"] is None
    job_id = server.submit("ok")["job_id"]
    path = f"/scheduler/reservations/{waiting['reservation_id']}"
    time.sleep(0.4)  # longer than it may be held: time is what this is about
    assert server.get(path)["state"] == "WAITING"
    gate.open()
    server.until(job_id, "COMPLETED")
    held = server.get(path)
    assert held["held_at"] <= held["ended_at"]
    assert server.job(job_id)["started_at"] >= held["ended_at"]
    span = datetime.fromisoformat(held["ended_at"]) - datetime.fromisoformat(held["held_at"])
    assert span.total_seconds() >= 0.3


def test_a_waiting_reservation_can_be_given_back(server: Server, gate: Any) -> None:
    seq = server.last_seq()
    running = server.hold(gate)["job_id"]
    waiting = reserve(server, 60)
    job_id = server.submit("ok")["job_id"]
    server.client.delete(f"/scheduler/reservations/{waiting['reservation_id']}")
    gate.open()
    assert server.start_order(2, seq) == [running, job_id]


def test_one_reservation_takes_one_slot_only(server: Server, new_gate: Callable[[], Any]) -> None:
    server.client.patch("/scheduler/config", json={"concurrency": 2})
    reserve(server, 60)
    gates = new_gate(), new_gate()
    ids = [server.submit("gate", {"path": gate.path})["job_id"] for gate in gates]
    server.until(ids[0], "RUNNING")
    assert server.status()["running_job_ids"] == ids[:1]
    assert server.job(ids[1])["status"] == "QUEUED"


@pytest.mark.parametrize(
    "body", [{}, {"ttl_s": 0}, {"ttl_s": -1}, {"ttl_s": "9"}, {"ttl_s": 1e9}, {"ttl_s": 1, "x": 1}]
)
def test_an_unfit_reservation_is_refused(server: Server, body: Any) -> None:
    answer = server.client.post("/scheduler/reservations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert server.status()["has_active_reservation"] is False


def test_all_reservations_are_released_in_one_request(server: Server) -> None:
    for _ in range(3):
        reserve(server, 86_400)
    job = server.submit("ok")["job_id"]
    released = server.client.delete("/scheduler/reservations")
    assert released.status_code == 200
    assert [one["state"] for one in released.json()["reservations"]] == ["ENDED"] * 3
    assert server.until(job)["status"] == "COMPLETED"
    assert server.client.delete("/scheduler/reservations").json() == {"reservations": []}


LIMITS = """
[scheduler]
max_queued = 4
max_triggered = 2
max_direct = 1
max_reservations = 2
max_reservation_s = 60
"""


def test_what_clients_may_claim_at_once_is_the_operators_decision(
    launch: Callable[..., Any], new_gate: Callable[[], Any]
) -> None:
    server = launch("", LIMITS)
    server.hold(new_gate())

    def refused(path: str, body: Any, code: str) -> str:
        answer = server.client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (429, code)
        assert int(answer.headers["retry-after"]) > 0
        return str(answer.json()["detail"])

    too_long = server.client.post("/scheduler/reservations", json={"ttl_s": 61})
    assert (too_long.status_code, too_long.json()["errors"][0]["pointer"]) == (422, "/ttl_s")
    for _ in range(2):
        reserve(server, 60)
    advice = refused("/scheduler/reservations", {"ttl_s": 60}, "rate_limited")
    assert "max_reservations" in advice
    assert "DELETE /scheduler/reservations" in advice
    for _ in range(2):
        gate = {"path": new_gate().path}
        server.post("/jobs/gate/trigger", gate, status=202)
    assert "max_triggered" in refused("/jobs/gate/trigger", gate, "queue_full")
    server.background(server.client.post, "/direct/ok")
    server.eventually(
        lambda: any(one["kind"] == "direct" for one in open_claims(server)), "it waits"
    )
    assert "max_direct" in refused("/direct/ok", {}, "queue_full")
    server.submit("ok")
    server.submit("ok")
    server.submit("ok")
    server.submit("ok")
    assert "max_queued" in refused("/jobs", {"type": "ok"}, "queue_full")


def open_claims(server: Server) -> Any:
    return server.get("/scheduler/reservations")["reservations"]


def test_an_unknown_reservation_is_not_found(server: Server) -> None:
    for method in ("GET", "DELETE"):
        answer = server.client.request(method, "/scheduler/reservations/rsv-nonsense")
        assert answer.status_code == 404


# ---- measured times ----------------------------------------------------------------------------


def test_the_metrics_of_a_type_follow_its_runs(server: Server) -> None:
    def measured() -> Any:
        return next(t for t in server.get("/scheduler/metrics")["types"] if t["type"] == "skips")

    before = measured()["runs"]
    server.run("skips", {"code": 0})
    server.run("skips", {"code": 3})
    after = server.eventually(
        lambda: (m := measured())["runs"] == before + 2 and m, "both are measured"
    )
    assert after["by_status"]["SKIPPED"] >= 1
    assert set(after["run_s"]) == {"p50", "p95", "p99"}
    assert 0 < after["run_s"]["p50"] <= after["run_s"]["p99"]
