"""A request that is repeated with its Idempotency-Key gets the first response."""

from typing import Any

from tests.contract.repetition import twice
from tests.contract.server import Server


def test_the_same_key_and_body_get_the_first_answer_again(stopped: Server) -> None:
    headers = {"Idempotency-Key": "again-1"}
    first = stopped.client.post("/jobs", json={"type": "ok"}, headers=headers)
    seq = stopped.last_seq()
    second = stopped.client.post("/jobs", json={"type": "ok"}, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert stopped.last_seq() == seq


def test_the_first_answer_is_kept_also_when_it_was_waited_for(server: Server) -> None:
    headers = {"Idempotency-Key": "waited-1", "Prefer": "wait=14"}
    first = server.client.post("/jobs", json={"type": "ok"}, headers=headers)
    second = server.client.post("/jobs", json={"type": "ok"}, headers=headers)
    assert first.json()["status"] == "COMPLETED"
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json()["job_id"] == first.json()["job_id"]
    assert second.json()["status"] == "COMPLETED"


def test_the_same_key_with_another_request_is_refused(stopped: Server) -> None:
    headers = {"Idempotency-Key": "other-1"}
    stopped.client.post("/jobs", json={"type": "ok"}, headers=headers)
    seq = stopped.last_seq()
    for path, body in [
        ("/jobs", {"type": "ok", "priority": 1}),
        ("/jobs/batch", {"jobs": [{"type": "ok"}]}),
    ]:
        answer = stopped.client.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert stopped.last_seq() == seq


def test_a_batch_is_replayed_too(stopped: Server) -> None:
    headers, body = {"Idempotency-Key": "batch-1"}, {"jobs": [{"type": "ok"}, {"type": "ok"}]}
    first = stopped.client.post("/jobs/batch", json=body, headers=headers)
    second = stopped.client.post("/jobs/batch", json=body, headers=headers)
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"


def test_a_refused_request_does_not_spend_its_key(stopped: Server) -> None:
    headers = {"Idempotency-Key": "refused-1"}
    assert stopped.client.post("/jobs", json={"type": "no"}, headers=headers).status_code == 422
    assert stopped.client.post("/jobs", json={"type": "ok"}, headers=headers).status_code == 201


def test_one_key_used_at_once_by_many_makes_one_job(stopped: Server) -> None:
    def submit() -> Any:
        headers = {"Idempotency-Key": "race-1"}
        return stopped.client.post("/jobs", json={"type": "ok"}, headers=headers)

    answers = [call.result() for call in [stopped.background(submit) for _ in range(12)]]
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


def test_a_retry_is_repeated_by_its_key(stopped: Server) -> None:
    job_id = stopped.submit("ok")["job_id"]
    stopped.client.delete(f"/jobs/{job_id}")
    first, second = twice(stopped, f"/jobs/{job_id}/retry")
    assert (first.status_code, second.status_code) == (201, 201)
    assert (second.content, second.headers["location"]) == (
        first.content,
        first.headers["location"],
    )
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json()["retry_of"] == job_id
    assert len(stopped.get("/jobs", retry_of=job_id)["jobs"]) == 1
    other = stopped.client.post(
        f"/jobs/{first.json()['job_id']}/retry", headers={"Idempotency-Key": "twice /jobs"}
    )
    assert other.status_code == 409
    mismatch = stopped.client.post(
        "/jobs", json={"type": "ok"}, headers={"Idempotency-Key": f"twice /jobs/{job_id}/retry"}
    )
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_mismatch")


def test_a_reservation_is_repeated_by_its_key(stopped: Server) -> None:
    path = "/scheduler/reservations"
    first, second = twice(stopped, path, {"ttl_s": 60})
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["location"] == f"{path}/{first.json()['reservation_id']}"
    assert second.headers["idempotent-replayed"] == "true"
    assert len(stopped.get(path)["reservations"]) == 1
    headers = {"Idempotency-Key": f"twice {path}"}
    answer = stopped.client.post(path, json={"ttl_s": 61}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    stopped.client.delete(second.headers["location"])


def test_a_direct_run_says_why_it_takes_no_key(server: Server) -> None:
    seq = server.last_seq()
    for answer in twice(server, "/direct/ok", {}):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert "ends with its client" in answer.json()["detail"]
    assert server.last_seq() == seq


def test_what_takes_no_body_refuses_one(stopped: Server) -> None:
    job_id = stopped.submit("ok")["job_id"]
    asked = [
        ("POST", f"/jobs/{job_id}/cancel", 202),
        ("POST", f"/jobs/{job_id}/retry", 201),
        ("DELETE", f"/jobs/{job_id}", 409),
        ("POST", "/scheduler/start", 200),
    ]
    bodies: tuple[Any, ...] = ({"surprise": 1}, [], "x", {"params": {}})
    for method, path, status in asked:
        seq = stopped.last_seq()
        for body in bodies:
            answer = stopped.client.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), (path, body)
        assert stopped.last_seq() == seq
        assert stopped.client.request(method, path, json={}).status_code == status
    stopped.post("/scheduler/stop")
