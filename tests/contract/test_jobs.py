"""One Job over HTTP: read, change, cancel, retry, and its run."""

import json
import re
from datetime import datetime
from typing import Any

import pytest

from tests.contract.repetition import UUID7
from tests.contract.server import Server

RUN_FIELDS = {
    *("run_id", "job_id", "status", "params_snapshot", "argv", "pid", "started_at", "finished_at"),
    *(
        "duration_s",
        "exit_code",
        "signal",
        "error",
        "result",
        "artifacts",
        "collection",
        "left",
        "log",
        "type",
    ),
}


NO_JOB = "job-01900000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"),
        ("GET", "/runs"), ("GET", "/log"), ("GET", "/artifacts"), ("GET", "/artifacts/x"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("job_id", [NO_JOB, "nonsense", "batch", "%00", "%ff", "..%2f..%2fetc"])
def test_a_job_that_is_not_there_is_not_found(
    server: Server, method: str, path: str, job_id: str
) -> None:
    body: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
    answer = server.client.request(method, f"/jobs/{job_id}{path}", **body)
    if job_id == "batch" and not path:
        assert answer.status_code in (404, 405)
    else:
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_patch_changes_what_may_change(stopped: Server) -> None:
    job = stopped.submit("ok", name="before", labels={"a": "1"})
    at = "2126-01-01T00:00:00Z"
    patch = {"priority": 9, "run_at": at, "name": "after", "labels": {"b": "2"}}
    answer = stopped.client.patch(f"/jobs/{job['job_id']}", json=patch)
    assert answer.status_code == 200
    changed = answer.json()
    assert changed == {**job, **patch, "version": 2} == stopped.job(job["job_id"])
    assert answer.headers["etag"] == '"2"'
    assert stopped.get("/jobs", label="a=1", q=job["job_id"])["jobs"] == []
    assert stopped.get("/jobs", label="b=2", q=job["job_id"])["jobs"] == [changed]
    status = stopped.status()
    assert status["deferred"] == 1
    back = stopped.client.patch(f"/jobs/{job['job_id']}", json={"run_at": None, "name": None})
    assert (back.json()["run_at"], back.json()["name"]) == (None, None)
    assert back.json()["priority"] == 9
    assert stopped.status()["deferred"] == 0


@pytest.mark.parametrize(
    "patch",
    [
        {"type": "echo"}, {"params": {}}, {"status": "COMPLETED"}, {"surprise": 1}, {"version": 7},
        {"priority": 101}, {"priority": None}, {"labels": None}, {"run_at": "soon"}, {"name": 5},
        {"expires_at": None}, {"timeout_s": 1}, [], None,
    ],
    ids=str,
)  # fmt: skip
def test_patch_refuses_everything_else(stopped: Server, patch: Any) -> None:
    job = stopped.submit("ok")
    before = stopped.last_seq()
    content, headers = json.dumps(patch), {"Content-Type": "application/json"}
    answer = stopped.client.patch(f"/jobs/{job['job_id']}", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert stopped.last_seq() == before
    assert stopped.job(job["job_id"]) == job


def test_if_match_guards_against_what_happened_meanwhile(stopped: Server) -> None:
    path = f"/jobs/{stopped.submit('ok')['job_id']}"
    etag = stopped.client.get(path).headers["etag"]

    def patch(match: str) -> int:
        headers = {"If-Match": match}
        status = stopped.client.patch(path, json={"priority": 5}, headers=headers).status_code
        assert isinstance(status, int)
        return status

    assert patch(etag) == 200
    assert patch(etag) == 412
    assert stopped.client.delete(path, headers={"If-Match": etag}).status_code == 412
    assert stopped.client.get(path).json()["status"] == "QUEUED"
    assert patch('"nonsense"') == 412
    assert patch(f'{etag}, "2"') == 200
    assert patch("*") == 200
    now = stopped.client.get(path).headers["etag"]
    assert stopped.client.delete(path, headers={"If-Match": now}).status_code == 200


def test_delete_cancels_a_queued_job_and_keeps_it(stopped: Server) -> None:
    job = stopped.submit("ok")
    answer = stopped.client.delete(f"/jobs/{job['job_id']}")
    assert answer.status_code == 200
    gone = answer.json()
    assert gone["status"] == "CANCELLED"
    assert gone["started_at"] is None
    assert gone["finished_at"] is not None
    assert stopped.job(job["job_id"]) == gone
    assert stopped.get(f"/jobs/{job['job_id']}/runs") == {"runs": [], "total": 0}
    stopped.post("/scheduler/start")
    stopped.run("ok")
    assert stopped.job(job["job_id"]) == gone


def test_what_is_not_queued_can_be_neither_patched_nor_deleted(server: Server, gate: Any) -> None:
    running = server.hold(gate)["job_id"]
    server.post("/scheduler/stop")
    cancelled = server.submit("ok")["job_id"]
    server.client.delete(f"/jobs/{cancelled}")
    gate.open()
    for job_id in (running, cancelled, server.until(running)["job_id"]):
        before = server.job(job_id)
        for answer in (
            server.client.patch(f"/jobs/{job_id}", json={"priority": 1}),
            server.client.delete(f"/jobs/{job_id}"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
        if before["status"] in server.terminal:
            assert server.job(job_id) == before


def test_cancel_of_a_queued_job_is_idempotent(stopped: Server) -> None:
    path = f"/jobs/{stopped.submit('ok')['job_id']}/cancel"
    first = stopped.post(path, status=202)
    assert first["status"] == "CANCELLED"
    assert stopped.post(path, status=202) == first


@pytest.mark.parametrize(("type", "params"), [("ok", {}), ("exit", {"code": 1}), ("missing", {})])
def test_cancel_of_what_has_ended_is_refused(server: Server, type: str, params: Any) -> None:
    job = server.run(type, params)
    answer = server.client.post(f"/jobs/{job['job_id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert server.job(job["job_id"]) == job


def test_a_retry_is_a_new_job_that_names_the_old_one(server: Server) -> None:
    old = server.run("exit", {"code": 5}, name="n", labels={"a": "b"}, priority=3, timeout_s=9)
    server.post("/scheduler/stop")
    answer = server.client.post(f"/jobs/{old['job_id']}/retry")
    assert answer.status_code == 201
    new = answer.json()
    assert answer.headers["location"] == f"/jobs/{new['job_id']}"
    assert (new["retry_of"], new["origin"], new["status"]) == (old["job_id"], "retry", "QUEUED")
    for name in ("type", "params", "name", "labels", "priority", "timeout_s"):
        assert new[name] == old[name]
    assert new["job_id"] != old["job_id"]
    assert new["position"] > old["position"]
    again = server.client.post(f"/jobs/{new['job_id']}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    server.post("/scheduler/start")
    server.until(new["job_id"], "FAILED")
    third = server.post(f"/jobs/{new['job_id']}/retry", status=201)
    assert third["retry_of"] == new["job_id"]
    for asked, retry in ((old, new), (new, third)):
        found = server.get("/jobs", retry_of=asked["job_id"])["jobs"]
        assert [job["job_id"] for job in found] == [retry["job_id"]]
    assert server.get("/jobs", retry_of=third["job_id"])["jobs"] == []
    assert server.client.get("/jobs?retry_of=").json()["code"] == "invalid"
    assert server.until(third["job_id"])["status"] == "FAILED"
    assert server.job(old["job_id"]) == old
    assert server.run_of(old["job_id"])["job_id"] == old["job_id"]


def test_every_end_can_be_retried(server: Server) -> None:
    completed = server.run("ok")
    skipped = server.run("ok", expires_at="2020-01-01T00:00:00Z")
    server.post("/scheduler/stop")
    cancelled = server.post(f"/jobs/{server.submit('ok')['job_id']}/cancel", status=202)
    for job, status in ((completed, "COMPLETED"), (skipped, "SKIPPED"), (cancelled, "CANCELLED")):
        assert job["status"] == status
        new = server.post(f"/jobs/{job['job_id']}/retry", status=201)
        assert new["expires_at"] is None


def test_a_run_has_all_its_fields(server: Server) -> None:
    job = server.run("echo", {"name": "n"})
    run = server.run_of(job["job_id"])
    assert set(run) == RUN_FIELDS
    assert re.fullmatch("run-" + UUID7, run["run_id"])
    assert run["job_id"] == job["job_id"]
    assert run["params_snapshot"] == {"name": "n", "count": 1}
    assert run["argv"][-2:] == ["--name=n", "--count=1"]
    assert run["pid"] > 1
    assert run["started_at"] == job["started_at"]
    assert run["finished_at"] == job["finished_at"]
    times = [datetime.fromisoformat(run[key]) for key in ("started_at", "finished_at")]
    # From the start of the program, which comes after the claim; measured by another clock.
    assert 0 < run["duration_s"] < (times[1] - times[0]).total_seconds() + 0.001
    assert job["duration_s"] == run["duration_s"]
    assert (run["exit_code"], run["signal"], run["error"], run["result"]) == (0, None, None, None)
    assert run["log"] == {"bytes": len(server.output(job["job_id"])), "truncated": False}
