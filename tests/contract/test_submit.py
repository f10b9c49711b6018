"""POST /jobs: what is stored, what is refused, and `Prefer: wait`."""

import re
from typing import Any

import pytest

from tests.contract.repetition import UUID7
from tests.contract.server import Server

JOB_FIELDS = {
    *("job_id", "type", "status", "params", "priority", "position", "name", "labels", "run_at"),
    *("expires_at", "timeout_s", "retry_of", "origin", "created_at", "started_at", "finished_at"),
    *("duration_s", "progress", "version", "reason"),
}


def test_a_new_job_has_its_defaults_and_its_place(stopped: Server) -> None:
    answer = stopped.client.post("/jobs", json={"type": "ok"})
    assert answer.status_code == 201
    job = answer.json()
    assert set(job) == JOB_FIELDS
    assert re.fullmatch("job-" + UUID7, job["job_id"])
    assert answer.headers["location"] == f"/jobs/{job['job_id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["content-type"] == "application/json"
    assert job["created_at"].endswith("Z")
    expected = {
        "type": "ok", "status": "QUEUED", "params": {}, "priority": 0, "name": None, "labels": {},
        "run_at": None, "expires_at": None, "timeout_s": None, "retry_of": None, "origin": "api",
        "started_at": None, "finished_at": None, "duration_s": None, "progress": None,
        "version": 1,
    }  # fmt: skip
    assert expected.items() <= job.items()
    assert stopped.job(job["job_id"]) == job


def test_everything_that_is_given_is_kept(stopped: Server) -> None:
    given: dict[str, Any] = {
        "type": "echo",
        "params": {"name": "a b", "flag": True, "tags": ["x", "y"], "text": "--flag"},
        "priority": 7,
        "expires_at": "2126-01-01T00:00:00.123456+09:00",
        "name": "조약돌 — a name",
        "labels": {"team": "core", "a.b/c": ""},
        "timeout_s": 12.5,
    }
    job = stopped.post("/jobs", given, status=201)
    assert job["params"] == {**given["params"], "count": 1}
    assert job["expires_at"] == "2125-12-31T15:00:00.123456Z"
    for name in ("priority", "name", "labels", "timeout_s"):
        assert job[name] == given[name]
    assert stopped.job(job["job_id"]) == job


def test_time_is_an_alias_of_run_at(stopped: Server) -> None:
    assert stopped.submit("ok", time="2126-01-01T00:00:00Z")["run_at"] == "2126-01-01T00:00:00Z"
    both = {"type": "ok", "time": None, "run_at": None}
    assert stopped.client.post("/jobs", json=both).status_code == 422


UNFIT = [
    ({}, "/type"),
    ({"type": None}, "/type"),
    ({"type": 5}, "/type"),
    ({"type": "ok", "surprise": 1}, "/surprise"),
    ({"type": "ok", "params": []}, "/params"),
    ({"type": "ok", "params": None}, "/params"),
    ({"type": "ok", "params": {"surprise": 1}}, "/params/surprise"),
    ({"type": "ok", "params": {"text": 5}}, "/params/text"),
    ({"type": "gate"}, "/params/path"),
    ({"type": "echo", "params": {"count": 0}}, "/params/count"),
    ({"type": "echo", "params": {"count": 101}}, "/params/count"),
    ({"type": "echo", "params": {"count": "1"}}, "/params/count"),
    ({"type": "echo", "params": {"count": 1.5}}, "/params/count"),
    ({"type": "echo", "params": {"flag": "yes"}}, "/params/flag"),
    ({"type": "echo", "params": {"tags": ["a", 1]}}, "/params/tags/1"),
    ({"type": "ok", "priority": -1}, "/priority"),
    ({"type": "ok", "priority": 101}, "/priority"),
    ({"type": "ok", "priority": 0.5}, "/priority"),
    ({"type": "ok", "priority": "5"}, "/priority"),
    ({"type": "ok", "priority": True}, "/priority"),
    ({"type": "ok", "priority": None}, "/priority"),
    ({"type": "ok", "run_at": "tomorrow"}, "/run_at"),
    ({"type": "ok", "run_at": 1_900_000_000}, "/run_at"),
    ({"type": "ok", "run_at": "2126-01-01T00:00:00"}, "/run_at"),
    ({"type": "ok", "run_at": "2126-02-30T00:00:00Z"}, "/run_at"),
    ({"type": "ok", "run_at": "20270101"}, "/run_at"),
    ({"type": "ok", "run_at": "20270101120000"}, "/run_at"),
    ({"type": "ok", "run_at": "1700000000"}, "/run_at"),
    (
        {"type": "ok", "run_at": "2126-01-01T00:00:00Z", "expires_at": "2125-12-31T00:00:00Z"},
        "/expires_at",
    ),
    ({"type": "ok", "expires_at": "never"}, "/expires_at"),
    ({"type": "ok", "name": 5}, "/name"),
    ({"type": "ok", "name": "x" * 201}, "/name"),
    ({"type": "ok", "name": "line\nbreak"}, "/name"),
    ({"type": "ok", "labels": {"a": 1}}, "/labels/a"),
    ({"type": "ok", "labels": ["a"]}, "/labels"),
    ({"type": "ok", "timeout_s": 0}, "/timeout_s"),
    ({"type": "ok", "timeout_s": -1}, "/timeout_s"),
    ({"type": "ok", "timeout_s": 3601}, "/timeout_s"),
    ({"type": "hasty", "timeout_s": 0.4}, "/timeout_s"),
]


@pytest.mark.parametrize(("body", "pointer"), UNFIT, ids=lambda value: str(value)[:60])
def test_an_unfit_job_is_refused_by_name_and_leaves_nothing(
    stopped: Server, body: dict[str, Any], pointer: str
) -> None:
    before = stopped.last_seq()
    answer = stopped.client.post("/jobs", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "invalid"
    assert pointer in [fault["pointer"] for fault in problem["errors"]]
    assert stopped.last_seq() == before


def test_an_unknown_type_has_its_own_code(stopped: Server) -> None:
    answer = stopped.client.post("/jobs", json={"type": "no-such"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_type")


def test_prefer_wait_answers_when_the_job_has_ended(server: Server) -> None:
    body = {"type": "ok"}
    answer = server.client.post("/jobs", json=body, headers={"Prefer": "respond-async, wait=14"})
    assert answer.status_code == 201
    assert answer.json()["status"] == "COMPLETED"
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    assert answer.json() == server.job(answer.json()["job_id"])


def test_prefer_wait_answers_with_the_job_as_it_is_when_the_time_is_over(stopped: Server) -> None:
    answer = stopped.client.post("/jobs", json={"type": "ok"}, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (201, "QUEUED")
    assert answer.elapsed.total_seconds() >= 1.0


def test_prefer_wait_ends_when_the_job_is_cancelled(stopped: Server) -> None:
    call = stopped.background(stopped.run, "ok", name="cancelled while awaited")
    (job,) = stopped.eventually(
        lambda: stopped.get("/jobs", q="cancelled while awaited")["jobs"], "it is queued"
    )
    stopped.client.delete(f"/jobs/{job['job_id']}")
    assert call.result()["status"] == "CANCELLED"


@pytest.mark.parametrize("prefer", ["wait=abc", "wait=", "wait", "wait=-1", "return=minimal"])
def test_a_preference_that_is_not_understood_is_ignored(stopped: Server, prefer: str) -> None:
    answer = stopped.client.post("/jobs", json={"type": "ok"}, headers={"Prefer": prefer})
    assert answer.status_code == 201
    assert answer.elapsed.total_seconds() < 0.9
