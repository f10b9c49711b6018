"""Secret parameters reach the program only. Every answer is searched by the fixture."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.server import Server


def test_a_secret_is_masked_wherever_a_job_is_shown(server: Server) -> None:
    params = {"token": server.secret, "more": {"deep": [server.secret]}}
    job = server.run("secretive", params, name="with a secret")
    masked = {"token": "***", "more": "***"}
    assert job["params"] == masked
    assert server.job(job["job_id"])["params"] == masked
    (listed,) = server.get("/jobs", q=job["job_id"])["jobs"]
    assert listed["params"] == masked
    assert server.run_of(job["job_id"])["params_snapshot"] == masked
    again = server.post(f"/jobs/{job['job_id']}/retry", status=201)
    assert again["params"] == masked
    server.until(again["job_id"])
    assert server.get("/jobs", q=server.secret)["jobs"] == []


def test_a_secret_argument_is_masked_in_the_command_line(server: Server) -> None:
    job = server.run("whisper", {"token": server.secret, "code": server.secret})
    argv = server.run_of(job["job_id"])["argv"]
    assert argv == ["/bin/true", "--token=***", "--", "***"]


def test_the_program_itself_is_given_the_secret(server: Server) -> None:
    """A retry too runs with the secret, not with its mask."""
    params = json.dumps({"token": server.secret}, separators=(",", ":"))
    given = hashlib.sha256(params.encode()).hexdigest()
    job = server.run("secretive", {"token": server.secret})
    assert server.output(job["job_id"]).decode().split()[0] == given
    again = server.post(f"/jobs/{job['job_id']}/retry", status=201)
    server.until(again["job_id"])
    assert server.output(again["job_id"]).decode().split()[0] == given
    run_dir = server.data_dir / "runs" / server.run_of(again["job_id"])["run_id"]
    kept = [path for path in run_dir.rglob("*") if path.is_file()]
    assert run_dir / "log" in kept
    assert not [path for path in kept if server.secret.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "params",
    [
        {"token": "{secret}" * 3},
        {"token": ["{secret}"]},
        {"token": {"{secret}": 1}},
        {"token": "{secret}\0"},
        {"more": "{secret}"},
    ],
    ids=str,
)
def test_a_refusal_does_not_repeat_the_secret(server: Server, params: Any) -> None:
    body = json.dumps({"type": "secretive", "params": params}).replace("{secret}", server.secret)
    headers = {"Content-Type": "application/json"}
    for path, content in (
        ("/jobs", body),
        ("/jobs/batch", f'{{"jobs": [{body}]}}'),
        ("/direct/secretive", json.dumps({"params": json.loads(body)["params"]})),
        ("/jobs/secretive/trigger", json.dumps(json.loads(body)["params"])),
    ):
        answer = server.client.post(path, content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), path


def test_direct_runs_triggers_and_replays_keep_the_secret(server: Server) -> None:
    params = {"token": server.secret}
    run = server.post("/direct/secretive", {"params": params})
    assert run["params_snapshot"] == {"token": "***"}
    accepted = server.post("/jobs/secretive/trigger", params, status=202)
    assert server.until(accepted["job_id"])["params"] == {"token": "***"}
    headers = {"Idempotency-Key": "secret-1"}
    body = {"type": "secretive", "params": params}
    first = server.client.post("/jobs", json=body, headers=headers)
    second = server.client.post("/jobs", json=body, headers=headers)
    assert first.content == second.content
    server.until(first.json()["job_id"])


def test_neither_the_events_nor_the_logs_tell(server: Server) -> None:
    server.run("secretive", {"token": server.secret})
    server.run("whisper", {"token": server.secret})
    last = server.last_seq()
    events = server.events(lambda event: event["seq"] == last, 0)
    assert server.secret not in json.dumps(events)
    assert server.secret not in server.log()
    assert server.secret not in server.stdout.read_text()
    assert server.secret not in server.client.get("/metrics").text


def test_the_data_directory_is_for_its_owner_only(server: Server) -> None:
    """The database must hold secrets, since a queued Job needs them."""
    server.run("ok")
    own = {path: path.stat().st_mode & 0o777 for path in server.data_dir.iterdir()}
    assert own.pop(server.data_dir / "runs") == server.data_dir.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in own} >= {"headway.db", "headway.db-wal", "headway.lock"}
    assert set(own.values()) == {0o600}, own


def test_a_data_directory_that_others_may_enter_is_refused_with_the_command(
    launch: Callable[..., Any],
) -> None:
    server = launch()
    server.stop()
    server.data_dir.chmod(0o755)
    for path in server.data_dir.glob("headway.*"):
        path.chmod(0o644)  # as an older headway left them
    server.spawn()
    assert server.wait() == 1
    said = server.log().splitlines()[-1]
    command = f"chmod 700 {server.data_dir}"
    assert said.endswith(f"Run: {command}")
    subprocess.run(command, shell=True, check=True)
    server.start()
    assert {path.stat().st_mode & 0o777 for path in server.data_dir.glob("headway.*")} == {0o600}


def test_programs_start_with_the_umask_of_who_started_the_server(server: Server) -> None:
    job = server.run("around")
    ours = os.umask(0)
    os.umask(ours)
    assert json.loads(server.output(job["job_id"]))["umask"] == ours
