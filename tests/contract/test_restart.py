"""What survives the server: kill -9, restart, a second one, programs that went on alone."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from storage.database import open_reader
from storage.verify.invariants import verify
from tests.contract.server import Server

FIGURES = """
SELECT
  (SELECT count(*) FROM job_runs WHERE status <> 'RUNNING'),
  (SELECT count(*) FROM job_runs WHERE status = 'COMPLETED'),
  (SELECT count(*) FROM job_runs WHERE status = 'FAILED'),
  (SELECT count(*) FROM jobs WHERE status = 'CANCELLED'),
  (SELECT count(*) FROM job_runs WHERE status = 'SKIPPED')
"""


BARE = """
[job_types.bare]
command = ["/bin/sh", "-c", 'eval "$2"', "bare"]
adopt = false
kill_grace_s = 0.3
params.script = { type = "string", positional = true }
"""


def figures(server: Server) -> list[tuple[int, ...]]:
    return [tuple(server.status()["cumulative_stats"].values())]


def kill_tree(server: Server, run_id: str) -> None:
    """KILL the shim of a run and everything below it, as if the host had done it."""
    mark = f"HEADWAY_RUN_ID={run_id}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if mark in Path(f"/proc/{entry}/environ").read_bytes():
                    os.kill(int(entry), signal.SIGKILL)
            except OSError:
                continue
    server.eventually(lambda: not server.processes(), "the tree is gone")


def test_a_kill_in_the_middle_of_a_job_loses_nothing(launch: Callable[..., Any], gate: Any) -> None:
    server = launch()
    server.run("ok")
    server.run("exit", {"code": 9})
    running = server.submit("gate", {"path": gate.path, "code": 5})["job_id"]
    server.until_printed(running, b"opened")
    keyed = {"headers": {"Idempotency-Key": "survives"}, "json": {"type": "ok", "name": "keyed"}}
    first = server.client.post("/jobs", **keyed)
    queued = [server.submit("ok", priority=p)["job_id"] for p in (0, 50, 100)]
    deferred = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    gate.write(b"before the crash\n")
    server.until_printed(running, b"before the crash")
    run = server.run_of(running)
    last, calls = server.last_seq(), []
    for _ in range(4):  # requests in flight are answered or not, and never half done
        calls.append(server.background(server.client.post, "/jobs", json={"type": "ok"}))
    server.kill()
    for call in calls:
        call.exception()
    gate.write(b"while it was down\n")

    server.start()
    pid = server.eventually(lambda: server.run_of(running)["pid"], "its process is shown")
    assert server.is_alive(pid)
    assert server.job(running)["status"] == "RUNNING"
    assert server.status()["running_job_ids"] == [running]
    assert server.job(deferred)["status"] == "QUEUED"
    again = server.client.post("/jobs", **keyed)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    gate.write(b"after the crash\n")
    gate.open()
    job = server.until(running)
    assert job["status"] == "FAILED"
    after = server.run_of(running)
    assert (after["run_id"], after["exit_code"]) == (run["run_id"], 5)
    assert after["started_at"] == run["started_at"]
    lines = [b"opened", b"before the crash", b"while it was down", b"after the crash", b"closed"]
    assert server.output(running) == b"\n".join(lines) + b"\n"
    for job_id in queued:
        assert server.until(job_id)["status"] == "COMPLETED"
    order = [event["job_id"] for event in server.events(
        lambda event: event["kind"] == "run.finished" and event["job_id"] == queued[0], last
    ) if event["kind"] == "run.started"]  # fmt: skip
    assert [job_id for job_id in order if job_id in queued] == queued[::-1]
    server.eventually(lambda: server.status()["eligible"] == 0, "the rest has run")
    server.eventually(lambda: not server.status()["running_job_ids"], "the last has ended")
    assert figures(server) == server.rows(FIGURES)


def test_what_ended_while_nobody_looked_ends_as_it_did(
    launch: Callable[..., Any], new_gate: Callable[[], Any]
) -> None:
    server = launch()
    server.client.patch("/scheduler/config", json={"concurrency": 4})
    gates = [new_gate() for _ in range(4)]
    codes = (0, 77, 7, 0)
    ids = [
        server.submit("gate", {"path": gate.path, "code": code})["job_id"]
        for gate, code in zip(gates, codes, strict=True)
    ]
    for job_id in ids:
        server.until_printed(job_id, b"opened")
    run_ids = [server.run_of(job_id)["run_id"] for job_id in ids]
    server.kill()
    for gate in gates[:3]:
        gate.open()
    exits = [server.data_dir / "runs" / run_id / "exit" for run_id in run_ids]
    for path in exits[:3]:
        server.eventually(lambda p=path: "exit" in p.read_text(), "the shim says how it ended")
    kill_tree(server, run_ids[3])  # and one was killed with its shim

    server.start()
    assert server.get("/scheduler/config")["concurrency"] == 4
    ended = [server.until(job_id)["status"] for job_id in ids]
    assert ended == ["COMPLETED", "SKIPPED", "FAILED", "FAILED"]
    runs = [server.run_of(job_id) for job_id in ids]
    assert [run["exit_code"] for run in runs] == [0, 77, 7, None]
    assert runs[2]["error"]["code"] == "exit_status"
    assert runs[3]["error"]["code"] == "interrupted"
    assert server.output(ids[0]) == b"opened\nclosed\n"
    assert figures(server) == server.rows(FIGURES)


def test_without_a_shim_a_crash_interrupts_and_leaves_no_process(
    launch: Callable[..., Any], gate: Any
) -> None:
    server = launch("", BARE)
    ended = server.submit("bare", {"script": "echo out; exit 5"})["job_id"]
    assert server.until(ended)["status"] == "FAILED"
    assert (server.run_of(ended)["exit_code"], server.output(ended)) == (5, b"out\n")
    script = "(setsid sleep 300 &) ; echo begun; sleep 300"
    running = server.submit("bare", {"script": script})["job_id"]
    server.until_printed(running, b"begun")
    server.kill()
    assert server.processes()
    server.start()
    assert server.until(running)["status"] == "FAILED"
    assert server.run_of(running)["error"]["code"] == "interrupted"
    server.eventually(lambda: not server.processes(), "nothing of it is left")
    assert server.get("/job-types/bare")["adopt"] is False


def test_a_shim_that_is_killed_leaves_an_interrupted_run_and_no_process(
    launch: Callable[..., Any], gate: Any
) -> None:
    server = launch()
    job_id = server.hold(gate)["job_id"]
    pid = server.eventually(lambda: server.run_of(job_id)["pid"], "it has a pid")
    os.kill(pid, signal.SIGKILL)
    assert server.until(job_id)["status"] == "FAILED"
    assert server.run_of(job_id)["error"]["code"] == "interrupted"
    assert not server.processes()
    assert server.run("ok")["status"] == "COMPLETED"


def test_a_cancelled_program_does_not_outlive_a_crash(launch: Callable[..., Any]) -> None:
    """CANCEL was promised (202); the next life keeps the promise."""
    server = launch()
    job_id = server.submit("stubborn")["job_id"]
    server.eventually(lambda: server.output(job_id).count(b"\n") == 4, "all have forked")
    assert server.client.post(f"/jobs/{job_id}/cancel").status_code == 202
    server.kill()
    assert server.processes()
    server.start()
    assert server.until(job_id)["status"] == "CANCELLED"
    assert not server.processes()


def test_a_direct_run_ends_with_the_life_of_its_client(
    launch: Callable[..., Any], gate: Any
) -> None:
    server = launch()
    body = {"params": {"path": gate.path}}
    call = server.background(server.client.post, "/direct/gate", json=body)
    sql = "SELECT run_id FROM job_runs WHERE status = 'RUNNING'"
    ((run_id,),) = server.eventually(lambda: server.rows(sql), "it runs")
    server.eventually(server.processes, "its program is there")
    waiting = server.background(server.client.post, "/direct/ok")
    server.eventually(lambda: server.status()["has_active_reservation"], "another waits")
    held = server.post("/scheduler/reservations", {"ttl_s": 60}, status=201)
    server.kill()
    assert call.exception() is not None
    assert waiting.exception() is not None
    server.start()
    server.eventually(lambda: not server.rows(sql), "it has been ended")
    (status,) = server.rows(f"SELECT status FROM job_runs WHERE run_id = '{run_id}'")[0]
    assert status == "CANCELLED"
    assert not server.processes()
    claims = server.get("/scheduler/reservations")["reservations"]
    assert [claim["reservation_id"] for claim in claims] == [held["reservation_id"]]
    assert claims[0]["state"] == "HELD"


def test_what_the_operator_said_is_remembered(launch: Callable[..., Any]) -> None:
    server = launch()
    server.post("/scheduler/stop")
    server.client.patch("/scheduler/config", json={"concurrency": 2, "types": {"ok": 5}})
    queued = server.submit("ok")["job_id"]
    seq = server.last_seq()
    server.restart()
    assert server.status()["scheduler_running"] is False
    assert server.job(queued)["status"] == "QUEUED"
    config = server.get("/scheduler/config")
    assert (config["concurrency"], config["types"]["ok"]) == (2, 5)
    events = server.events(lambda event: event["kind"] == "server.started", seq)
    assert events[0]["seq"] == seq + 1, "a stream resumes across lives"
    server.post("/scheduler/start")
    assert server.until(queued)["status"] == "COMPLETED"
    server.kill()
    server.start()
    assert server.status()["scheduler_running"] is True


def test_a_time_that_passed_while_it_was_down_is_kept(launch: Callable[..., Any]) -> None:
    server = launch()
    server.post("/scheduler/stop")
    at = datetime.now(UTC) + timedelta(seconds=0.5)
    due = server.submit("ok", run_at=at.isoformat())["job_id"]
    expired = server.submit("ok", expires_at=at.isoformat())["job_id"]
    server.post("/scheduler/start")
    server.post("/scheduler/reservations", {"ttl_s": 0.5}, status=201)
    server.kill()
    server.eventually(lambda: datetime.now(UTC) > at + timedelta(seconds=0.1), "time has passed")
    server.start()
    assert server.until(due)["status"] == "COMPLETED"
    assert server.until(expired)["status"] in ("SKIPPED", "COMPLETED")


def test_a_second_server_on_the_same_directory_ends_and_names_the_first(
    launch: Callable[..., Any],
) -> None:
    server = launch()
    second = launch(start=False)
    second.data_dir = server.data_dir
    second.spawn()
    status = second.wait()
    assert status not in (0, None)
    assert f"process id {server.pid}" in second.log()
    assert str(server.data_dir) in second.log()
    assert "Traceback" not in second.log()
    assert server.run("ok")["status"] == "COMPLETED"


def test_a_port_that_is_taken_is_said_plainly(launch: Callable[..., Any]) -> None:
    server = launch()
    second = launch(start=False)
    second.spawn("--bind", server.url.removeprefix("http://"))
    status = second.wait()
    assert status not in (0, None)
    assert "Traceback" not in second.log()
    assert second.log().strip()


def test_verify_and_backup_agree_with_a_living_server(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    server = launch()
    server.run("ok")
    copy = tmp_path / "copy" / "headway.db"
    copy.parent.mkdir()

    def run(*arguments: str | Path) -> int:
        command = [server.command, *arguments]
        done = subprocess.run(command, capture_output=True, timeout=server.deadline_s)
        assert b"Traceback" not in done.stderr
        return done.returncode

    verified = server.background(run, "verify", "--data-dir", server.data_dir)
    assert run("backup", copy, "--data-dir", server.data_dir) == 0
    assert verified.result() == 0
    with closing(open_reader(copy)) as connection:
        assert not [finding for finding in verify(connection) if finding.breaches]
        assert connection.execute("SELECT count(*) FROM jobs").get == 1
