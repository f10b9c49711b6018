"""Opening the file: pragmas, migrations, transactions, and one server a directory."""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from storage import database
from storage.database import (
    LOCK_NAME,
    directory_lock,
    migrate,
    migrations,
    open_reader,
    open_writer,
    refuse_newer,
    snapshot,
    transaction,
    user_version,
)
from storage.errors import DataDirectoryInUse, NewerDatabase
from tests.simulation.disk import Disk

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)],
)
def test_the_writer_is_durable(connection: apsw.Connection, pragma: str, value: object) -> None:
    assert connection.pragma(pragma) == value


def test_a_reader_cannot_write(connection: apsw.Connection, path: Path) -> None:
    reader = open_reader(path)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("UPDATE scheduler SET running = 0")


def test_a_reader_sees_what_was_committed(connection: apsw.Connection, path: Path) -> None:
    reader = open_reader(path)
    with transaction(connection):
        connection.execute("UPDATE scheduler SET running = 0")
        assert reader.execute("SELECT running FROM scheduler").get == 1
    assert reader.execute("SELECT running FROM scheduler").get == 0


# ---- migrations --------------------------------------------------------------------------------


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_new_file_gets_every_migration(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "new.db")
    assert user_version(connection) == migrations()[-1][0]


def test_migrating_again_changes_nothing(connection: apsw.Connection) -> None:
    before = connection.total_changes()
    schema = connection.execute("SELECT group_concat(sql) FROM sqlite_schema").get
    migrate(connection)
    assert connection.total_changes() == before
    assert connection.execute("SELECT group_concat(sql) FROM sqlite_schema").get == schema


def test_only_what_is_missing_is_applied(
    connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = migrations()
    more = (len(known) + 1, "CREATE TABLE more (a); INSERT INTO more VALUES (1), (2);")
    monkeypatch.setattr(database, "migrations", lambda: [*known, more])
    migrate(connection)
    migrate(connection)
    assert connection.execute("SELECT count(*) FROM more").get == 2
    assert user_version(connection) == more[0]


def test_a_migration_that_fails_leaves_nothing_of_it(
    connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = migrations()
    good = (len(known) + 1, "CREATE TABLE good (a);")
    bad = (len(known) + 2, "CREATE TABLE bad (a); INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr(database, "migrations", lambda: [*known, good, bad])
    with pytest.raises(apsw.SQLError):
        migrate(connection)
    assert user_version(connection) == good[0]
    assert not connection.in_transaction
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    assert "good" in tables
    assert "bad" not in tables


@pytest.mark.parametrize("open_it", [open_writer, open_reader])
def test_a_newer_database_is_refused_and_left_as_it_is(
    path: Path, open_it: Callable[[Path], apsw.Connection]
) -> None:
    newest = migrations()[-1][0]
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version = {newest + 1}")
    connection.close()
    before = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(NewerDatabase, match=rf"schema {newest + 1}, this headway knows {newest}"):
        open_it(path)
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_our_own_schema_is_not_refused(connection: apsw.Connection) -> None:
    refuse_newer(connection)


def test_what_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "headway.db"
    path.write_bytes(b"a diary, not a database " * 100)
    with pytest.raises(apsw.NotADBError):
        open_writer(path)
    assert path.read_bytes() == b"a diary, not a database " * 100


# ---- transactions ------------------------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(connection: apsw.Connection) -> None:
    with pytest.raises(ZeroDivisionError), transaction(connection):  # noqa: PT012 - what comes before the error is taken back
        connection.execute("UPDATE scheduler SET running = 0")
        _ = 1 / 0
    assert connection.execute("SELECT running FROM scheduler").get == 1
    assert not connection.in_transaction


def test_a_transaction_that_sqlite_has_ended_itself_says_why(connection: apsw.Connection) -> None:
    # A full disk may take the whole transaction with it; then there is nothing to roll back.
    with pytest.raises(apsw.FullError), transaction(connection):  # noqa: PT012 - what comes before the error is taken back
        connection.execute("ROLLBACK")
        raise apsw.FullError("database or disk is full")
    assert not connection.in_transaction


# ---- one server a directory --------------------------------------------------------------------


def test_the_second_server_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with (
        directory_lock(tmp_path),
        pytest.raises(DataDirectoryInUse, match=rf"process id {os.getpid()}: "),
        directory_lock(tmp_path),
    ):
        pytest.fail("two servers on one directory")


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("12345678901234567890\n")
    for _ in range(2):
        with directory_lock(tmp_path):
            assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_the_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    with directory_lock(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_program_does_not_keep_the_lock(tmp_path: Path) -> None:
    with directory_lock(tmp_path):
        program = subprocess.Popen(["sleep", str(DEADLINE_S)], close_fds=False)
    try:
        with directory_lock(tmp_path):
            pass
    finally:
        program.kill()
        program.wait()


def test_a_killed_server_lets_go_of_the_directory(tmp_path: Path) -> None:
    held = (
        "import sys, time; from pathlib import Path; from storage.database import directory_lock\n"
        "with directory_lock(Path(sys.argv[1])):\n"
        f"    print('held', flush=True)\n    time.sleep({DEADLINE_S})"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", held, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "held\n"
    with pytest.raises(DataDirectoryInUse, match=str(server.pid)), directory_lock(tmp_path):
        pass
    server.kill()
    server.wait(DEADLINE_S)
    server.stdout.close()
    with directory_lock(tmp_path):
        pass


@pytest.mark.parametrize("lets_go", [True, False])
def test_what_a_killed_server_was_just_starting_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lets_go: bool
) -> None:
    # Between its fork and its exec a program holds the descriptor of the lock.
    monkeypatch.setattr(database, "DEAD_HOLDER_WAIT_S", DEADLINE_S if lets_go else 0.05)
    path = tmp_path / LOCK_NAME
    dead = subprocess.Popen(["true"])
    dead.wait()
    path.write_text(f"{dead.pid}\n")
    hold = f'exec 9>>"$1"; flock 9; echo held; {"read -r _" if lets_go else "exec sleep 300"}'
    with subprocess.Popen(
        ["sh", "-c", hold, "sh", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as unborn:
        assert unborn.stdin is not None
        assert unborn.stdout is not None
        assert unborn.stdout.readline() == b"held\n"
        if lets_go:
            monkeypatch.setattr(time, "sleep", lambda _: (unborn.communicate(b"\n"), None)[1])
            with directory_lock(tmp_path):
                assert path.read_text() == f"{os.getpid()}\n"
        else:
            with (
                pytest.raises(DataDirectoryInUse, match=f"process id {dead.pid}: "),
                directory_lock(tmp_path),
            ):
                pytest.fail("it is held")
            unborn.kill()


def test_what_a_failed_fsync_left_is_on_disk_before_it_is_relied_on(tmp_path: Path) -> None:
    disk = Disk("fsync", tmp_path / "disk", random.Random(1))
    path = Path("/nowhere/headway.db")
    connection = open_writer(path, vfs=disk.name)

    def fail_to_sync(kind: str, name: str) -> None:
        if kind == "sync":
            disk.lose_unsynced(name)
            raise apsw.IOError

    disk.fault = fail_to_sync
    with pytest.raises(apsw.IOError):
        connection.execute("INSERT INTO type_limits VALUES ('a', 1)")
    disk.crash()

    def cut_the_power(kind: str, name: str) -> None:
        if (kind, name) == ("write", "headway.db"):
            disk.power_loss()
            raise apsw.IOError

    disk.fault = cut_the_power  # in the middle of the next life's checkpoint
    with pytest.raises(apsw.IOError):
        open_writer(path, vfs=disk.name)
    disk.fault = None
    connection = open_writer(path, vfs=disk.name)
    assert connection.execute("SELECT concurrency FROM type_limits").fetchall() == [(1,)]
    connection.close()
    disk.unregister()


def test_what_a_killed_server_did_not_sync_is_on_disk_also_where_there_is_no_space(
    tmp_path: Path,
) -> None:
    disk = Disk("no-space", tmp_path / "disk", random.Random(1))
    path = Path("/nowhere/headway.db")
    connection = open_writer(path, vfs=disk.name)

    def die_before_the_sync(kind: str, _name: str) -> None:
        if kind == "sync":
            disk.crash()
            raise apsw.IOError

    disk.fault = die_before_the_sync
    with pytest.raises(apsw.IOError):
        connection.execute("INSERT INTO type_limits VALUES ('a', 1)")

    def be_full(kind: str, _name: str) -> None:
        if kind == "write":
            raise apsw.FullError

    disk.fault = be_full
    connection = open_writer(path, vfs=disk.name)
    assert connection.execute("SELECT concurrency FROM type_limits").fetchall() == [(1,)]
    disk.power_loss()
    disk.fault = None
    connection = open_writer(path, vfs=disk.name)
    assert connection.execute("SELECT concurrency FROM type_limits").fetchall() == [(1,)]
    connection.close()
    disk.unregister()


def test_a_snapshot_that_fails_shows_its_own_error(connection: apsw.Connection) -> None:
    """After an I/O error SQLite has ended the transaction itself."""

    def read() -> None:
        with snapshot(connection):
            connection.execute("ROLLBACK")
            raise apsw.IOError("the disk")

    with pytest.raises(apsw.IOError, match="the disk"):
        read()
    assert not connection.in_transaction
