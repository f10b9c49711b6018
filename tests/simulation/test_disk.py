"""The disk loses what it may lose, and nothing else; with it SQLite keeps what it promised."""

import random
from contextlib import suppress
from itertools import count
from pathlib import Path

import apsw
import pytest

from tests.simulation.disk import SECTOR_BYTES, Disk, apply

NAMES = count()


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(f"disk-{next(NAMES)}", tmp_path / "disk", random.Random(1))


def open_database(disk: Disk, synchronous: str = "FULL") -> apsw.Connection:
    connection = apsw.Connection("/somewhere/x.db", vfs=disk.name)
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, filler TEXT)")
    return connection


def rows(disk: Disk) -> int:
    connection = open_database(disk)
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    found = connection.execute("SELECT count(*) FROM t").get
    connection.close()
    assert isinstance(found, int)
    return found


def write_until_fault(disk: Disk, synchronous: str = "FULL") -> int:
    """Insert rows until the fault; returns how many were committed."""
    committed = 0
    with suppress(Killed):
        connection = open_database(disk, synchronous)
        for _ in range(30):
            connection.execute("INSERT INTO t VALUES (NULL, ?)", ("x" * 3_000,))
            committed += 1
    return committed


def test_without_a_fault_all_is_there(disk: Disk) -> None:
    assert write_until_fault(disk) == 30
    assert rows(disk) == 30
    assert disk.operations > 60


def kill_at(disk: Disk, number: int, how: str) -> None:
    begin = disk.operations

    def fault(_kind: str, _file: str) -> None:
        if disk.operations - begin == number:
            getattr(disk, how)()
            raise Killed

    disk.fault = fault


def stop_faults(disk: Disk) -> None:
    disk.fault = None


@pytest.mark.parametrize("how", ["crash", "power_loss"])
def test_what_was_committed_is_there_wherever_it_died(disk: Disk, how: str) -> None:
    before = 0
    for lives, number in enumerate(range(1, 150, 3)):
        kill_at(disk, number, how)
        committed = write_until_fault(disk)
        assert disk.life == lives + 1
        stop_faults(disk)
        after = rows(disk)
        assert before + committed <= after <= before + committed + 1
        before = after


def test_what_was_not_synced_may_be_lost(disk: Disk) -> None:
    connection = open_database(disk, "OFF")
    for _ in range(30):
        connection.execute("INSERT INTO t VALUES (NULL, 'x')")
    disk.power_loss()
    connection.close()
    found = 0
    with suppress(apsw.Error, AssertionError):  # without syncs even the file may be broken
        found = rows(disk)
    assert found < 30


def test_a_dead_process_does_not_reach_the_new_life(disk: Disk) -> None:
    connection = open_database(disk)
    connection.execute("INSERT INTO t VALUES (NULL, 'x')")
    disk.crash()
    connection.execute("INSERT INTO t VALUES (NULL, 'x')")
    connection.close()
    assert rows(disk) == 1


def test_a_fault_is_what_sqlite_sees(disk: Disk) -> None:
    connection = open_database(disk)

    def full(kind: str, _file: str) -> None:
        if kind == "write":
            raise apsw.FullError("database or disk is full")

    disk.fault = full
    with pytest.raises(apsw.FullError):
        connection.execute("INSERT INTO t VALUES (NULL, 'x')")
    stop_faults(disk)
    connection.execute("INSERT INTO t VALUES (NULL, 'x')")
    connection.close()
    assert rows(disk) == 1


def test_changes_are_made_as_a_file_system_makes_them() -> None:
    content = bytearray(b"abc")
    apply(content, (5, b"xy"))
    assert content == b"abc\0\0xy"
    apply(content, (1, b"--"))
    assert content == b"a--\0\0xy"
    apply(content, 2)
    assert content == b"a-"
    assert SECTOR_BYTES == 512
