"""Cancelling what runs: the whole tree goes, in time."""

import os
import time
from typing import Any

from tests.contract.server import Server

KILL_GRACE_S = 0.5  # of the type `stubborn`


def test_a_program_that_listens_ends_at_once(server: Server, gate: Any) -> None:
    job_id = server.hold(gate)["job_id"]
    answer = server.client.post(f"/jobs/{job_id}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] in ("RUNNING", "CANCELLED")
    job = server.until(job_id, "CANCELLED")
    assert job["finished_at"] is not None
    run = server.run_of(job_id)
    assert (run["status"], run["error"]) == ("CANCELLED", None)
    assert server.output(job_id) == b"opened\n"
    again = server.client.post(f"/jobs/{job_id}/cancel")
    assert (again.status_code, again.json()) == (202, job)


def test_cancelling_twice_while_it_ends_is_idempotent(server: Server) -> None:
    job_id = server.submit("stubborn")["job_id"]
    server.eventually(lambda: server.output(job_id).count(b"\n") == 4, "all have forked")
    for _ in range(3):
        assert server.client.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert server.until(job_id)["status"] == "CANCELLED"
    kinds = [row for (row,) in server.rows(
        f"SELECT kind FROM events WHERE job_id = '{job_id}' ORDER BY seq"
    )]  # fmt: skip
    assert kinds.count("run.finished") == 1
    assert kinds.count("job.cancel_requested") == 1


def test_nothing_is_left_of_a_tree_that_ignores_term_and_forks_daemons(server: Server) -> None:
    job_id = server.submit("stubborn")["job_id"]
    output = server.eventually(
        lambda: (out := server.output(job_id)).count(b"\n") == 4 and out, "all have forked"
    )
    pids = [int(line) for line in output.split()]
    assert len({os.getsid(pid) for pid in pids}) > 1, "they have left its session"
    assert all(server.is_alive(pid) for pid in pids)
    begun = time.monotonic()
    server.client.post(f"/jobs/{job_id}/cancel")
    server.eventually(
        lambda: not any(server.is_alive(pid) for pid in pids),
        "every process of it is gone",
        KILL_GRACE_S + 1,
    )
    assert time.monotonic() - begun >= KILL_GRACE_S - 0.05, "it had its grace"
    assert server.until(job_id)["status"] == "CANCELLED"
    assert not server.processes()
    assert server.run("ok")["status"] == "COMPLETED"


def test_a_daemon_that_hides_its_environment_is_found_too(server: Server) -> None:
    job_id = server.submit("hidden")["job_id"]
    daemon = int(server.until_printed(job_id, b"\n").split()[0])
    assert server.is_alive(daemon)
    server.client.post(f"/jobs/{job_id}/cancel")
    assert server.until(job_id)["status"] == "CANCELLED"
    assert not server.is_alive(daemon)


def test_a_program_that_ends_well_on_term_is_still_cancelled(server: Server) -> None:
    script = 'trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.02; done'
    job_id = server.submit("shell", {"script": script})["job_id"]
    server.until_printed(job_id, b"ready")
    server.client.post(f"/jobs/{job_id}/cancel")
    assert server.until(job_id)["status"] == "CANCELLED"
    assert server.output(job_id).endswith(b"bye\n")
    assert server.run_of(job_id)["status"] == "CANCELLED"


def test_the_next_job_starts_only_when_all_of_the_cancelled_one_is_gone(server: Server) -> None:
    job_id = server.submit("stubborn")["job_id"]
    server.eventually(lambda: server.output(job_id).count(b"\n") == 4, "all have forked")
    after = server.submit("ok")["job_id"]
    server.client.post(f"/jobs/{job_id}/cancel")
    started_at = server.until(after)["started_at"]
    assert started_at >= server.run_of(job_id)["finished_at"]
