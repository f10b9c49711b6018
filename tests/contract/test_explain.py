"""/jobs/{id}/explain: why a Job does not run, and when it will."""

from typing import Any

from tests.contract.server import Server


def explain(server: Server, job_id: str) -> Any:
    return server.get(f"/jobs/{job_id}/explain")


def codes(server: Server, job_id: str) -> list[str]:
    return [reason["code"] for reason in explain(server, job_id)["waiting"]]


def test_it_tells_why_each_job_waits(server: Server, gate: Any) -> None:
    running = server.hold(gate)["job_id"]
    first = server.submit("ok", priority=5)["job_id"]
    second = server.submit("ok")["job_id"]
    late = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    shown = explain(server, running)
    assert (shown["status"], shown["waiting"], shown["ahead"]) == (
        "RUNNING",
        [],
        None,
    )
    shown = explain(server, first)
    assert [reason["code"] for reason in shown["waiting"]] == ["no_free_slot"]
    assert shown["waiting"][0]["by"] == [running]
    assert (shown["ahead"], shown["ahead_exact"]) == (0, True)
    shown = explain(server, second)
    assert [reason["code"] for reason in shown["waiting"]] == ["no_free_slot", "jobs_ahead"]
    assert (shown["ahead"], shown["waiting"][1]["count"]) == (1, 1)
    shown = explain(server, late)
    assert shown["waiting"][0]["code"] == "not_due"
    assert shown["waiting"][0]["until"] == "2126-01-01T00:00:00Z"
    server.post("/scheduler/stop")
    assert codes(server, first) == ["scheduler_stopped", "no_free_slot"]
    server.client.delete(f"/jobs/{late}")
    gate.open()
    server.until(running)
    assert codes(server, first) == ["scheduler_stopped"]
    server.post("/scheduler/start")
    server.until(second)
    shown = explain(server, second)
    assert (shown["waiting"], shown["message"]) == ([], "it has ended: COMPLETED")


def test_an_estimate_rests_on_what_was_measured(server: Server, gate: Any) -> None:
    server.run("ok")
    held = server.hold(gate)["job_id"]
    server.post("/scheduler/stop")
    first = server.submit("ok")["job_id"]
    assert explain(server, first)["estimate"] is None, "somebody has to start it first"
    server.post("/scheduler/start")
    gate.open()
    server.until(held)
    server.until(first)
    claim = server.post("/scheduler/reservations", {"ttl_s": 60}, status=201)
    second = server.submit("ok")["job_id"]
    shown = explain(server, second)
    assert [reason["code"] for reason in shown["waiting"]] == ["no_free_slot"]
    assert shown["waiting"][0]["by"] == [claim["reservation_id"]]
    assert shown["estimate"]["earliest"] <= shown["estimate"]["start_at"]
    assert shown["estimate"]["latest"] == claim["expires_at"]
    server.client.delete(f"/scheduler/reservations/{claim['reservation_id']}")
    server.until(second)


def test_nothing_is_to_be_said_of_a_job_that_is_not_there(server: Server) -> None:
    answer = server.client.get("/jobs/job-no-such/explain")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
