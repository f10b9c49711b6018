"""A host that lets nothing start, under a real server: Jobs wait for it, and none fails."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server import Server

MIB = 1 << 20
FREE = "HEADWAY_SCHEDULER__FREE_SPACE_BYTES"


def why_not_ready(server: Server) -> str | None:
    """What `/ready` says while the host lets nothing start."""
    answer = server.client.get("/ready")
    if answer.status_code == 200:
        return None
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    return str(answer.json()["detail"])


def until_blocked(server: Server, reason: str) -> None:
    """Until nothing starts, for this reason, which every view shows."""
    server.eventually(lambda: reason in (why_not_ready(server) or ""), f"/ready says {reason}")
    condition = server.status()["host_condition"]
    assert reason in condition["reason"]
    assert condition["since"].endswith("Z")
    assert "headway_host_condition 1.0" in server.client.get("/metrics").text


def until_fit(server: Server) -> None:
    """Until Jobs start again."""
    server.eventually(lambda: why_not_ready(server) is None, "it is ready again")
    assert server.status()["host_condition"] is None
    assert "headway_host_condition 0.0" in server.client.get("/metrics").text


def test_space_that_is_kept_free_is_waited_for(small_disk: Any, launch: Callable[..., Any]) -> None:
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=40m")
    server.start(environ={FREE: str(8 * MIB)})
    assert server.run("ok")["status"] == "COMPLETED"
    disk.fill(but_bytes=6 * MIB)
    job = server.submit("ok")["job_id"]
    until_blocked(server, "less than 8 MiB are free")
    why = server.get(f"/jobs/{job}/explain")
    assert [reason["code"] for reason in why["waiting"]] == ["host"]
    assert "less than 8 MiB are free" in why["message"]
    shown = subprocess.run(
        [server.command, "scheduler", "status", "--url", server.url],
        capture_output=True,
        text=True,
        timeout=server.deadline_s,
    )
    assert "less than 8 MiB are free" in shown.stdout
    assert server.job(job)["status"] == "QUEUED"
    disk.free()
    assert server.until(job)["status"] == "COMPLETED"
    until_fit(server)
    assert server.log().count("starts wait for the host") == 1


# ---- what a run lacks when it begins -----------------------------------------------------------


def test_a_full_disk_whose_log_has_room_fails_no_job(
    small_disk: Any, launch: Callable[..., Any]
) -> None:
    """The write-ahead log keeps its 16 MiB, so commits go on where no file can be written."""
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=96m")
    server.start()
    server.post("/scheduler/stop")
    log = server.data_dir / "headway.db-wal"
    batch = {"jobs": [{"type": "ok", "labels": {"key": "y" * 90}}] * 500}
    size_bytes = -1
    while log.stat().st_size > size_bytes:  # until one is written at its beginning again
        size_bytes = log.stat().st_size
        server.post("/jobs/batch", batch, status=201)
    assert size_bytes > 15 * MIB
    queued = server.status()["queue_length"]
    disk.fill()
    server.post("/scheduler/start")
    until_blocked(server, "No space left on device")
    assert server.get("/jobs")["counts"]["FAILED"] == 0
    waiting = server.status()["current_job_id"]
    why = server.get(f"/jobs/{waiting}/explain")
    assert "it begins as soon as the host lets it" in why["message"]
    disk.free()
    until_fit(server)
    server.eventually(lambda: server.status()["cumulative_stats"]["succeeded"] > 20, "it goes on")
    server.post("/scheduler/stop", {"wait_s": 20})
    counts = server.get("/jobs")["counts"]
    assert counts["FAILED"] == 0
    assert counts["COMPLETED"] + counts["QUEUED"] == queued
    assert server.job(waiting)["status"] == "COMPLETED"


def test_where_no_file_can_be_made_jobs_wait(small_disk: Any, launch: Callable[..., Any]) -> None:
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=24m", "nr_inodes=60")
    server.start()
    assert server.run("ok")["status"] == "COMPLETED"
    take_inodes(disk.path)
    jobs = [server.submit("ok")["job_id"] for _ in range(5)]
    until_blocked(server, "No space left on device")
    # Who cancels the one that waits lets the next one wait.
    server.post(f"/jobs/{jobs[0]}/cancel", status=202)
    assert server.until(jobs[0])["status"] == "CANCELLED"
    server.until(jobs[1], "RUNNING")
    for path in disk.path.glob("filler-*"):
        path.unlink()
    for job in jobs[1:]:
        assert server.until(job)["status"] == "COMPLETED"
    until_fit(server)


def take_inodes(directory: Path) -> None:
    """Leave not one."""
    for number in range(1_000):
        try:
            (directory / f"filler-{number}").touch()
        except OSError:
            return


def test_a_server_starts_and_ends_where_no_file_can_be_made(
    small_disk: Any, launch: Callable[..., Any]
) -> None:
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=24m", "nr_inodes=60")
    server.start()
    take_inodes(disk.path)
    job = server.submit("ok")["job_id"]
    until_blocked(server, "No space left on device")
    run_id = server.run_of(job)["run_id"]
    server.stop()
    server.start()
    until_blocked(server, "No space left on device")
    server.kill()
    server.start()
    assert server.job(job)["status"] == "RUNNING"
    for path in disk.path.glob("filler-*"):
        path.unlink()
    assert server.until(job)["status"] == "COMPLETED"
    assert server.run_of(job)["run_id"] == run_id


def executed_runs(server: Server) -> int:
    return int(server.status()["cumulative_stats"]["total_executed"])


def test_removing_all_runs_fails_none(launch: Callable[..., Any]) -> None:
    server = launch(start=False)
    server.start(environ={"HEADWAY_SCHEDULER__CONCURRENCY": "4"})
    batch = server.post("/jobs/batch", {"jobs": [{"type": "ok"}] * 1_000}, status=201)
    assert len(batch["jobs"]) == 1_000
    for executed in (50, 200, 400, 600):
        server.eventually(lambda n=executed: executed_runs(server) >= n, "some have ended")
        shutil.rmtree(server.data_dir / "runs", ignore_errors=True)
    server.eventually(lambda: not server.status()["queue_length"], "all have been started")
    server.eventually(lambda: not server.status()["running_job_ids"], "all have ended")
    assert server.get("/jobs")["counts"]["COMPLETED"] == 1_000
    until_fit(server)


def test_runs_on_a_disk_that_becomes_read_only_wait(
    small_disk: Any, launch: Callable[..., Any]
) -> None:
    server = launch(start=False)
    server.data_dir.mkdir(mode=0o700)
    disk = small_disk(server.data_dir / "runs", "size=24m", "mode=700")
    server.start()
    assert server.run("ok")["status"] == "COMPLETED"
    disk.mount("remount", "ro")
    jobs = [server.submit("ok")["job_id"] for _ in range(3)]
    until_blocked(server, "Read-only file system")
    disk.mount("remount", "rw")
    for job in jobs:
        assert server.until(job)["status"] == "COMPLETED"


def test_a_direct_run_that_cannot_begin_holds_up_no_end(
    small_disk: Any, launch: Callable[..., Any]
) -> None:
    server = launch(start=False)
    server.data_dir.mkdir(mode=0o700)
    disk = small_disk(server.data_dir / "runs", "size=24m", "mode=700")
    server.start()
    disk.mount("remount", "ro")
    with server.connect() as connection:
        body = b'{"params": {}}'
        connection.sendall(
            b"POST /direct/ok HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        until_blocked(server, "Read-only file system")
        server.stop()
    disk.mount("remount", "rw")
    server.start()
    rows = "SELECT status FROM job_runs WHERE lane = 'direct'"
    server.eventually(lambda: server.rows(rows) == [("CANCELLED",)], "its client has gone")


def test_a_fork_that_fails_is_waited_for(launch: Callable[..., Any], strace: Any) -> None:
    server = launch()
    calls = "clone,clone3,vfork,fork"
    tracer = strace(server, f"trace={calls}", f"inject={calls}:error=EAGAIN")
    job = server.submit("ok")["job_id"]
    until_blocked(server, "Resource temporarily unavailable")
    tracer.terminate()
    tracer.wait(server.deadline_s)
    assert server.until(job)["status"] == "COMPLETED"
    until_fit(server)


@pytest.fixture
def other_account(tmp_path: Path) -> Iterator[Callable[[Any], None]]:
    """Lets a server run under an account without other processes, below a directory of its own."""
    if os.getuid() != 0:
        pytest.skip("only root may change the account")
    uid = 50_000 + os.getpid() % 10_000
    directory = Path(tempfile.mkdtemp(prefix="headway-"))
    directory.chmod(0o755)
    os.chown(directory, uid, uid)

    def move(server: Server) -> None:
        config = directory / "headway.toml"
        config.write_text(server.config.read_text())
        server.directory, server.config, server.data_dir = directory, config, directory / "data"
        server.prefix = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]

    yield move
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_a_limit_of_processes_is_waited_for(
    other_account: Callable[[Any], None], launch: Callable[..., Any], kind: str
) -> None:
    table = f'[job_types.mine]\ncommand = ["true"]\noutput = "{kind}"\n'
    server = launch("", table, start=False)
    other_account(server)
    server.start()
    assert server.run("mine")["status"] == "COMPLETED"
    limit(server, "--nproc=1:")
    jobs = [server.submit("mine")["job_id"] for _ in range(5)]
    until_blocked(server, "Resource temporarily unavailable")
    limit(server, "--nproc=1000:")
    for job in jobs:
        assert server.until(job)["status"] == "COMPLETED"
    until_fit(server)


def limit(server: Server, *limits: str) -> None:
    """Change soft limits of the living server (prlimit(2)), as its own account."""
    command = [*server.prefix, "prlimit", "--pid", str(server.pid), *limits]
    subprocess.run(command, check=True)


def test_more_programs_than_descriptors_wait_for_each_other(launch: Callable[..., Any]) -> None:
    server = launch(start=False)
    server.prefix = ["prlimit", "--nofile=64:64"]
    server.start(environ={"HEADWAY_SCHEDULER__CONCURRENCY": "60"})
    jobs = [server.submit("sleeper", {"time": 3})["job_id"] for _ in range(60)]
    until_blocked(server, "Too many open files")
    for job in jobs:
        assert server.until(job)["status"] == "COMPLETED"
    until_fit(server)
    assert not server.processes()
