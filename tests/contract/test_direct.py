"""/direct/{type}: ahead of the queue, without a Job, bound to its client."""

import json
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from tests.contract.server import Server

RUNNING = "SELECT run_id FROM job_runs WHERE status = 'RUNNING' AND lane = 'direct'"
WAITING = "SELECT 1 FROM reservations WHERE state = 'WAITING' AND kind = 'direct'"


def send(server: Server, type: str, params: dict[str, Any]) -> Any:
    """A direct request on a bare connection, which the test can close."""
    body = json.dumps({"params": params}).encode()
    connection = server.connect()
    connection.sendall(
        f"POST /direct/{type} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return closing(connection)


def test_the_answer_is_the_run_and_there_is_no_job(server: Server) -> None:
    counts = server.get("/jobs")["counts"]
    run = server.post("/direct/echo", {"params": {"name": "n"}})
    assert run["status"] == "COMPLETED"
    assert run["job_id"] is None
    assert run["exit_code"] == 0
    assert run["params_snapshot"] == {"name": "n", "count": 1}
    assert json.loads(run["log_tail"]) == ["--name=n", "--count=1"]
    assert server.get("/jobs")["counts"] == counts
    assert server.rows("SELECT count(*) FROM jobs") == [(sum(counts.values()),)]


def test_a_failure_is_an_answer_too(server: Server) -> None:
    run = server.post("/direct/exit", {"params": {"code": 3}})
    assert (run["status"], run["exit_code"]) == ("FAILED", 3)
    assert run["error"]["code"] == "exit_status"
    assert server.post("/direct/missing")["error"]["code"] == "spawn"


def test_the_tail_is_the_last_64_kib(server: Server) -> None:
    run = server.post("/direct/bytes", {"params": {"count": 100_000}})
    assert run["log"]["bytes"] == 100_000
    assert len(run["log_tail"]) == 65_536
    assert run["log_tail"].endswith(f"{100_000 // 16 - 1:015d}\n")


def test_it_comes_after_the_running_job_and_before_the_queue(server: Server, gate: Any) -> None:
    seq = server.last_seq()
    running = server.hold(gate)["job_id"]
    queued = [server.submit("ok", priority=100)["job_id"] for _ in range(3)]
    call = server.background(server.post, "/direct/echo")
    server.eventually(lambda: server.rows(WAITING), "the claim is there")
    status = server.status()
    assert status["has_active_reservation"] is True
    assert status["running_job_ids"] == [running], "it never preempts"
    gate.open()
    direct = call.result()
    assert server.start_order(5, seq) == [running, direct["run_id"], *queued]
    assert server.run_of(running)["finished_at"] <= direct["started_at"]
    for job_id in queued:
        assert server.until(job_id)["started_at"] >= direct["finished_at"]
    assert server.status()["has_active_reservation"] is False


def test_claims_are_served_in_their_order(server: Server, gate: Any) -> None:
    seq = server.last_seq()
    running = server.hold(gate)["job_id"]

    def are_waiting(claims: int) -> bool:
        return len(server.rows(WAITING)) == claims

    calls = []
    for n in range(3):
        calls.append(server.background(server.post, "/direct/ok"))
        server.eventually(partial(are_waiting, n + 1), "one more claim")
    gate.open()
    direct = [call.result()["run_id"] for call in calls]
    assert server.start_order(4, seq) == [running, *direct]


def test_it_works_while_the_scheduler_is_stopped(server: Server) -> None:
    server.post("/scheduler/stop")
    queued = server.submit("ok")["job_id"]
    assert server.post("/direct/ok")["status"] == "COMPLETED"
    assert server.status()["scheduler_running"] is False
    assert server.job(queued)["status"] == "QUEUED"


def test_it_waits_for_a_held_slot(server: Server) -> None:
    held = server.post("/scheduler/reservations", {"ttl_s": 60}, status=201)
    call = server.background(server.post, "/direct/ok")
    server.eventually(lambda: server.rows(WAITING), "it waits")
    assert not server.rows(RUNNING)
    server.client.delete(f"/scheduler/reservations/{held['reservation_id']}")
    assert call.result()["status"] == "COMPLETED"


def test_it_keeps_to_the_limit_of_its_type(server: Server, new_gate: Callable[[], Any]) -> None:
    server.client.patch("/scheduler/config", json={"concurrency": 2})
    first, second = new_gate(), new_gate()
    running = server.submit("single", {"path": first.path})["job_id"]
    server.until(running, "RUNNING")
    call = server.background(server.post, "/direct/single", {"params": {"path": second.path}})
    server.eventually(lambda: server.rows(WAITING), "it waits")
    assert not server.rows(RUNNING)
    first.open()
    second.open()
    assert call.result()["status"] == "COMPLETED"
    assert server.until(running)["status"] == "COMPLETED"


def test_a_client_that_goes_away_while_it_waits_gives_its_claim_back(
    server: Server, gate: Any
) -> None:
    seq = server.last_seq()
    running = server.hold(gate)["job_id"]
    queued = server.submit("ok")["job_id"]
    with send(server, "ok", {}):
        server.eventually(lambda: server.rows(WAITING), "the claim is there")
    server.eventually(lambda: not server.rows(WAITING), "it is given back")
    assert server.status()["has_active_reservation"] is False
    gate.open()
    assert server.start_order(2, seq) == [running, queued]
    assert not server.rows(RUNNING)


def test_a_client_that_goes_away_while_it_runs_cancels_it(server: Server) -> None:
    server.eventually(lambda: not server.processes(), "nothing runs")
    with send(server, "stubborn", {}):
        server.eventually(lambda: len(server.processes()) >= 3, "the program and its daemons live")
        ((run_id,),) = server.rows(RUNNING)
        queued = server.submit("ok")["job_id"]
        assert server.job(queued)["status"] == "QUEUED"
    server.eventually(lambda: not server.rows(RUNNING), "it has been ended", 0.5 + 1.0)
    (status,) = server.rows(f"SELECT status FROM job_runs WHERE run_id = '{run_id}'")[0]
    assert status == "CANCELLED"
    assert server.until(queued)["status"] == "COMPLETED"
    assert not server.processes(), "neither of the direct run nor of the Job that came after it"
    stats = server.status()["cumulative_stats"]
    (cancelled,) = server.rows("SELECT count(*) FROM jobs WHERE status = 'CANCELLED'")[0]
    assert stats["cancelled"] == cancelled, "cancelled counts Jobs, and it is none"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/direct/no-such", {}, "unknown_type"),
        ("/direct/gate", {}, "invalid"),
        ("/direct/ok", {"params": {"surprise": 1}}, "invalid"),
        ("/direct/ok", {"surprise": 1}, "invalid"),
        ("/direct/ok", {"params": None}, "invalid"),
        ("/direct/ok", [], "invalid"),
    ],
)
def test_an_unfit_direct_run_is_refused(server: Server, path: str, body: Any, code: str) -> None:
    before = server.last_seq()
    answer = server.client.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert server.last_seq() == before
