"""Disks that are full, read-only, broken or damaged under a real server."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server import Server

MIB = 1 << 20
BULKY = {f"key{number}": "y" * 90 for number in range(9)}


def until_refused(server: Server) -> list[str]:
    """Submit until the disk takes no more: the ids of what was accepted."""
    accepted: list[str] = []
    for _ in range(4_000):
        answer = server.client.post("/jobs", json={"type": "ok", "labels": BULKY})
        if answer.status_code == 507:
            assert answer.json()["code"] == "storage_full"
            return accepted
        assert answer.status_code == 201, answer.text
        accepted.append(answer.json()["job_id"])
    raise AssertionError("the disk does not become full")


def test_on_a_full_disk_writes_are_507_reads_and_cancels_work_and_it_resumes(
    small_disk: Any, launch: Callable[..., Any]
) -> None:
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=24m")
    server.start()
    running = server.submit("sleeper", {"time": 300})["job_id"]
    server.until(running, "RUNNING")
    server.eventually(lambda: server.run_of(running)["pid"], "the run is shown")
    server.post("/scheduler/stop")
    first, second = (server.submit("ok")["job_id"] for _ in range(2))
    disk.fill()
    accepted = until_refused(server)

    assert server.job(first)["status"] == "QUEUED"
    assert server.get("/jobs")["counts"]["RUNNING"] == 1
    assert server.status()["running_job_ids"] == [running]
    assert server.client.get("/health").status_code == 200
    assert server.client.delete(f"/jobs/{first}").json()["status"] == "CANCELLED"
    assert server.post(f"/jobs/{second}/cancel", status=202)["status"] == "CANCELLED"
    server.post(f"/jobs/{running}/cancel", status=202)
    server.eventually(lambda: not server.processes(), "the program has ended")
    assert server.until(running)["status"] == "CANCELLED"
    answer = server.client.post("/jobs", json={"type": "ok"})
    assert answer.status_code == 507
    assert int(answer.headers["retry-after"]) > 0

    disk.free()
    job = server.eventually(lambda: submitted(server), "it resumes by itself")
    server.post("/scheduler/start")
    server.until(job)
    ids = {job_id for (job_id,) in server.rows("SELECT job_id FROM jobs")}
    assert ids == {running, first, second, job, *accepted}
    assert (server.data_dir / "headway.reserve").stat().st_size == 4 * MIB


def submitted(server: Server) -> str | None:
    answer = server.client.post("/jobs", json={"type": "ok", "priority": 100})
    assert answer.status_code in (201, 507)
    return str(answer.json()["job_id"]) if answer.status_code == 201 else None


def test_a_server_that_is_killed_on_a_full_disk_starts_on_it(
    small_disk: Any, launch: Callable[..., Any]
) -> None:
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=24m")
    server.start()
    server.post("/scheduler/stop")
    first = server.submit("ok")["job_id"]
    disk.fill()
    accepted = until_refused(server)
    server.kill()
    server.start()
    assert server.job(first)["status"] == "QUEUED"
    disk.free()
    server.eventually(lambda: submitted(server), "it resumes by itself")
    ids = {job_id for (job_id,) in server.rows("SELECT job_id FROM jobs")}
    assert {first, *accepted} < ids


def test_a_backup_onto_a_full_disk_leaves_nothing_but_its_reason(
    small_disk: Any, launch: Callable[..., Any], tmp_path: Path
) -> None:
    server = launch()
    server.post("/jobs/batch", {"jobs": [{"type": "ok", "name": "n" * 190}] * 2000}, status=201)
    disk = small_disk(tmp_path / "small", "size=1m")
    command = [server.command, "backup", disk.path / "copy.db", "--data-dir", server.data_dir]
    done = subprocess.run(command, capture_output=True, text=True, timeout=server.deadline_s)
    assert done.returncode == 1
    assert done.stderr == f"headway: cannot write {disk.path}/copy.db: No space left on device\n"
    assert os.listdir(disk.path) == []


# ---- read-only ---------------------------------------------------------------------------------


def test_a_read_only_file_system_is_said_plainly_at_the_start(
    small_disk: Any, launch: Callable[..., Any], ended: Callable[..., str]
) -> None:
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=24m")
    server.start()
    server.stop()
    before = digests(server.data_dir)
    disk.mount("remount", "ro")
    server.spawn()
    said = ended(server)
    assert "Read-only file system" in said or "read-only" in said
    assert str(server.data_dir) in said
    assert digests(server.data_dir) == before
    disk.mount("remount", "rw")


@pytest.mark.parametrize(
    ("call", "error"), [("pwrite64", "EROFS"), ("pwrite64", "EIO"), ("fdatasync", "EIO")]
)
def test_a_disk_that_fails_under_it_ends_it_with_the_reason(
    launch: Callable[..., Any], ended: Callable[..., str], strace: Any, call: str, error: str
) -> None:
    server = launch()
    server.post("/scheduler/stop")
    kept = server.submit("ok")["job_id"]
    strace(server, f"trace={call}", f"inject={call}:error={error}")
    answer = server.client.post("/jobs", json={"type": "ok"})
    assert answer.status_code == 503
    assert "the database failed: disk I/O error" in ended(server)
    server.start()
    rows = server.rows("SELECT job_id FROM jobs")
    assert rows[0] == (kept,)
    assert len(rows) <= 2  # the last one was not acknowledged


# ---- damage ------------------------------------------------------------------------------------


def digests(directory: Path) -> dict[str, str]:
    """What is in the database's files."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.glob("headway.db*"))
        if not path.name.endswith("-shm") and path.stat().st_size
    }


def damage(path: Path, table: str, *, deep: bool = True) -> int:
    """Write nonsense over a page of the table; its number."""
    connection = sqlite3.connect(path)
    sql = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY pageno LIMIT 1"
    try:
        row = connection.execute(sql, (table, "leaf")).fetchone()
    except sqlite3.OperationalError:  # a SQLite without dbstat
        row = None
    row = (
        row
        or connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
    )
    connection.close()
    with path.open("r+b") as file:
        file.seek((row[0] - 1) * 4096)
        file.write(b"\xde\xad" * 1024)
    return int(row[0])


@pytest.mark.parametrize("was_killed", [False, True])
def test_a_damaged_database_is_refused_by_page_and_left_as_it_is(
    launch: Callable[..., Any], ended: Callable[..., str], was_killed: bool
) -> None:
    server = launch()
    server.post("/scheduler/stop")
    for _ in range(3):
        server.post("/jobs/batch", {"jobs": [{"type": "ok"}] * 500}, status=201)
    whole = server.directory / "whole"
    if was_killed:
        server.restart()
        server.submit("ok")  # which is in the log only
        server.kill()
    else:
        server.stop()
    shutil.copytree(server.data_dir, whole)
    path = server.data_dir / "headway.db"
    page = damage(path, "events") if not was_killed else 0
    if was_killed:
        # Past SQLite, which would copy the log into the file.
        page = path.stat().st_size // 4096 - 3
        with path.open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xde\xad" * 1024)
    before = digests(server.data_dir)
    server.spawn()
    said = ended(server)
    assert "is damaged and was left as it is" in said
    assert f"page {page}" in said
    assert "headway backup" in said
    if not was_killed:
        assert "table events" in said
    assert digests(server.data_dir) == before
    shutil.rmtree(server.data_dir)
    whole.rename(server.data_dir)
    server.start()


def test_what_is_no_database_is_refused_and_left_as_it_is(
    launch: Callable[..., Any], ended: Callable[..., str]
) -> None:
    server = launch(start=False)
    server.data_dir.mkdir(mode=0o700)
    path = server.data_dir / "headway.db"
    path.write_bytes(b"a diary, not a database " * 1000)
    before = path.read_bytes()
    server.spawn()
    assert "file is not a database" in ended(server)
    assert path.read_bytes() == before
    path.unlink()
    server.start()


def test_a_database_of_a_newer_headway_is_refused_and_left_as_it_is(
    launch: Callable[..., Any], ended: Callable[..., str]
) -> None:
    server = launch()
    server.stop()
    path = server.data_dir / "headway.db"
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    before = digests(server.data_dir)
    server.spawn()
    assert "has schema 1000" in ended(server)
    assert digests(server.data_dir) == before
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    server.start()


@pytest.mark.parametrize("path", ["/jobs", "/jobs?q=x"])
def test_damage_that_comes_later_ends_it_with_the_reason(
    launch: Callable[..., Any], ended: Callable[..., str], path: str
) -> None:
    server = launch()
    server.post("/scheduler/stop")
    for _ in range(12):  # more than the caches of its connections hold
        server.post("/jobs/batch", {"jobs": [{"type": "ok", "name": "n" * 190}] * 2000}, status=201)
    server.restart()
    whole = server.directory / "whole"
    file = server.data_dir / "headway.db"
    shutil.copyfile(file, whole)
    with file.open("r+b") as damaged:
        size = file.stat().st_size
        for page in range(200, size // 4096, 2):
            damaged.seek(page * 4096)
            damaged.write(b"\xde\xad" * 2048)

    def ask() -> bool:
        answer = server.client.get(path)
        assert answer.status_code in (200, 503), answer.text
        return bool(answer.status_code == 503)

    server.eventually(ask, "it meets a damaged page")
    said = ended(server)
    assert "the database failed: database disk image is malformed" in said
    os.replace(whole, file)
    for name in ("headway.db-wal", "headway.db-shm"):
        (server.data_dir / name).unlink(missing_ok=True)
    server.start()
