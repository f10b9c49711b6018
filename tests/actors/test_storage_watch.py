"""A write-ahead log that cannot shrink is warned of, and delays no shutdown."""

import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from actors import storage_watch
from actors.storage_watch import LARGE_WAL_BYTES, LOOK_PAUSE_S, USUAL_WAL_BYTES, StorageWatch
from storage import data_directory
from storage.database import DATABASE_NAME
from tests.actors.house import House

MIB = 1 << 20


class Patient(apsw.VFS):
    """SQLite's own files, and how long SQLite has slept to wait for locks."""

    def __init__(self) -> None:
        self.name = "patient"
        super().__init__(self.name, "unix")
        self.slept_us = 0

    def xSleep(self, microseconds: int) -> int:
        self.slept_us += microseconds
        return microseconds


@pytest.fixture
def patient() -> Iterator[Patient]:
    vfs = Patient()
    yield vfs
    vfs.unregister()


async def test_the_end_does_not_wait_for_readers(house: House, patient: Patient) -> None:
    house.vfs = patient.name
    async with house.running() as context:
        house.reader.execute("BEGIN")
        before = house.reader.execute("SELECT count(*) FROM jobs").get
        (job,) = await house.submit("a")
        await house.ended(job)
        assert context.storage.sizes().wal_bytes > 0
    assert patient.slept_us == 0
    assert house.reader.execute("SELECT count(*) FROM jobs").get == before
    house.reader.execute("COMMIT")
    assert house.job(job).status == "COMPLETED"
    async with house.running():
        assert house.job(job).status == "COMPLETED"


# ---- warnings -----------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / DATABASE_NAME
    path.write_bytes(b"x" * 4096)
    return path


def log_of(path: Path, size_bytes: int) -> None:
    with open(f"{path}-wal", "ab") as file:
        os.truncate(file.fileno(), size_bytes)


async def looked(watch: StorageWatch) -> list[str]:
    """What it logs at its next look."""
    await trio.sleep(LOOK_PAUSE_S)
    with capture_logs() as logged:
        watch.look()
    return [f"{entry['log_level']}: {entry['event']}" for entry in logged]


async def test_a_large_log_is_warned_of_once(path: Path, autojump_clock: MockClock) -> None:
    watch = StorageWatch(path)
    assert await looked(watch) == []  # there is none
    for size_bytes in (0, USUAL_WAL_BYTES, LARGE_WAL_BYTES):
        log_of(path, size_bytes)
        assert await looked(watch) == []
        assert watch.warnings() == []
    log_of(path, 368 * MIB)
    assert await looked(watch) == ["warning: write-ahead log large"]
    assert await looked(watch) == []
    (warning,) = watch.warnings()
    assert "has grown to 368 MiB" in warning
    log_of(path, USUAL_WAL_BYTES + 1)
    assert await looked(watch) == []
    log_of(path, USUAL_WAL_BYTES)
    assert await looked(watch) == ["info: write-ahead log small again"]
    assert watch.warnings() == []


async def test_it_is_not_looked_at_after_each_commit(path: Path, autojump_clock: MockClock) -> None:
    watch = StorageWatch(path)
    assert await looked(watch) == []
    log_of(path, LARGE_WAL_BYTES + 1)
    with capture_logs() as logged:
        watch.look()
    assert logged == []
    assert await looked(watch) == ["warning: write-ahead log large"]


async def test_it_is_looked_at_when_something_is_committed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_watch, "LARGE_WAL_BYTES", 100_000)

    async with house.running() as context:
        with capture_logs() as logged:
            house.reader.execute("BEGIN")
            house.reader.execute("SELECT count(*) FROM jobs").fetchall()
            while not context.storage.warnings():
                await house.submit("a")
                await trio.sleep(LOOK_PAUSE_S)
            await house.submit("a")
            await house.settled()
        house.reader.execute("COMMIT")
    assert [entry["event"] for entry in logged].count("write-ahead log large") == 1


def test_sizes(path: Path) -> None:
    log_of(path, 5000)
    sizes = StorageWatch(path).sizes()
    assert (sizes.database_bytes, sizes.wal_bytes) == (4096, 5000)
    assert sizes.free_bytes > 0


def test_a_disk_that_is_not_of_this_machine_is_warned_of_from_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_directory, "file_system", lambda _: "virtiofs")
    with capture_logs() as logged:
        watch = StorageWatch(path)
    (entry,) = logged
    assert (entry["log_level"], entry["event"]) == ("warning", "data directory not on a local disk")
    assert watch.warnings() == [entry["why"]]
    assert f"{path.parent} is on virtiofs: " in entry["why"]
