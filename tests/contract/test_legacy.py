"""The trigger endpoints of the launcher that came before, in their three phases."""

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.contract.server import Server


def check_notices(answer: Any, *, sunset: bool) -> None:
    """RFC 9745, RFC 8594 and a successor."""
    assert re.fullmatch(r"@\d{9,}", answer.headers["deprecation"])
    assert 'rel="successor-version"' in answer.headers["link"]
    assert answer.headers["link"].startswith("</jobs>")
    assert ("sunset" in answer.headers) == sunset
    if sunset:
        assert parsedate_to_datetime(answer.headers["sunset"]).isoformat()[:10] == "2031-05-01"


def test_phase_1_runs_at_once_beside_the_queue(server: Server, new_gate: Callable[[], Any]) -> None:
    outer, inner = new_gate(), new_gate()
    running = server.hold(outer)["job_id"]
    server.post("/scheduler/stop")
    queued = server.submit("ok", priority=100)["job_id"]
    answer = server.client.post("/jobs/gate/trigger", json={"path": inner.path})
    assert answer.status_code == 202
    check_notices(answer, sunset=False)
    accepted = answer.json()
    assert set(accepted) == {"job_id", "type", "status", "message"}
    assert (accepted["type"], accepted["status"]) == ("gate", "RUNNING")
    job_id = accepted["job_id"]
    job = server.job(job_id)
    assert (job["origin"], job["status"]) == ("legacy", "RUNNING")
    server.until_printed(job_id, b"opened")
    assert server.job(queued)["status"] == "QUEUED"
    assert set(server.status()["running_job_ids"]) == {running, job_id}
    inner.open()
    assert server.until(job_id)["status"] == "COMPLETED"
    assert server.output(job_id) == b"opened\nclosed\n"
    assert server.run_of(job_id)["exit_code"] == 0


def test_phase_1_takes_no_slot(server: Server, gate: Any) -> None:
    accepted = server.post("/jobs/gate/trigger", {"path": gate.path}, status=202)
    server.until_printed(accepted["job_id"], b"opened")
    assert server.run("ok")["status"] == "COMPLETED"
    assert server.job(accepted["job_id"])["status"] == "RUNNING"


def test_phase_1_can_be_cancelled(server: Server, gate: Any) -> None:
    job_id = server.post("/jobs/gate/trigger", {"path": gate.path}, status=202)["job_id"]
    server.until_printed(job_id, b"opened")
    assert server.client.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert server.until(job_id)["status"] == "CANCELLED"
    assert server.run_of(job_id)["status"] == "CANCELLED"


def test_phase_1_needs_no_body_where_nothing_is_required(server: Server) -> None:
    answer = server.client.post("/jobs/ok/trigger")
    assert answer.status_code == 202
    assert server.until(answer.json()["job_id"])["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/jobs/no-such/trigger", {}, 422),
        ("/jobs/gate/trigger", {}, 422),
        ("/jobs/ok/trigger", {"surprise": 1}, 422),
        ("/jobs/ok/trigger", {"params": {}}, 422),
        ("/jobs/ok/trigger", [], 422),
        ("/jobs/ok/trigger", None, 422),
    ],
)
def test_an_unfit_trigger_is_refused(server: Server, path: str, body: Any, status: int) -> None:
    before = server.last_seq()
    headers = {"Content-Type": "application/json"}
    content = "null" if body is None else None
    answer = server.client.post(path, json=body, content=content, headers=headers)
    assert answer.status_code == status
    assert server.last_seq() == before


def test_phase_2_makes_an_ordinary_job(launch: Callable[..., Any], gate: Any) -> None:
    server = launch('legacy_triggers = "scheduler"\nsunset = 2031-05-01')
    seq = server.last_seq()
    running = server.hold(gate)["job_id"]
    answer = server.client.post("/jobs/ok/trigger", json={"text": "t"})
    assert answer.status_code == 202
    check_notices(answer, sunset=True)
    accepted = answer.json()
    assert (accepted["type"], accepted["status"]) == ("ok", "QUEUED")
    job = server.job(accepted["job_id"])
    assert (job["status"], job["origin"], job["params"]) == ("QUEUED", "legacy", {"text": "t"})
    later = server.submit("ok")["job_id"]
    gate.open()
    assert server.start_order(3, seq) == [running, job["job_id"], later]
    assert server.until(later)["status"] == "COMPLETED"


@pytest.mark.parametrize("phase", ["subprocess", "scheduler"])
def test_a_trigger_is_repeated_by_its_key(launch: Callable[..., Any], phase: str) -> None:
    server = launch(f'legacy_triggers = "{phase}"')
    headers = {"Idempotency-Key": "triggered"}
    first, second = (
        server.client.post("/jobs/ok/trigger", json={"text": "t"}, headers=headers)
        for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    check_notices(second, sunset=False)
    other = server.client.post("/jobs/ok/trigger", json={"text": "u"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    check_notices(other, sunset=False)
    assert sum(server.get("/jobs", limit=1)["counts"].values()) == 1


def test_phase_3_is_gone(launch: Callable[..., Any]) -> None:
    server = launch('legacy_triggers = "off"\nsunset = 2031-05-01')
    seq = server.last_seq()
    answer = server.client.post("/jobs/ok/trigger", json={})
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    check_notices(answer, sunset=True)
    assert "POST /jobs" in answer.json()["detail"]
    assert server.last_seq() == seq


def test_both_old_endpoints_are_there_without_a_configuration(
    launch: Callable[..., Any],
) -> None:
    server = launch(start=False)
    server.config.write_text('[server]\ndata_dir = "unused"\n')
    server.start()
    assert server.status()["scheduler_running"] is True, "a new database starts running"
    names = [entry["name"] for entry in server.get("/job-types")["job_types"]]
    assert sorted(names) == ["research", "story"]
    research = server.client.post("/jobs/research/trigger", json={"topic": "lighthouse"})
    story = server.client.post("/jobs/story/trigger", json={"max_stories": 1, "seed": 1})
    for answer in (research, story):
        assert answer.status_code == 202
        check_notices(answer, sunset=False)
        job = server.until(answer.json()["job_id"])
        assert job["status"] == "COMPLETED", server.output(job["job_id"])
    assert server.run_of(story.json()["job_id"])["artifacts"]
