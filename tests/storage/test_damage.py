"""Damage is found by its page before anything is written; a sound file passes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from storage import damage
from storage.damage import READ_AT_START, PageCheck, find_faults
from storage.database import migrations, open_reader, open_writer
from storage.errors import DamagedDatabase
from storage.events import events_after

PAGE = 4096


def lengthen(path: Path, events: int) -> None:
    """Append events until there are so many."""
    connection = open_writer(path)
    connection.execute(
        "WITH RECURSIVE n (i) AS (SELECT coalesce(max(seq), 0) + 1 FROM events"
        " UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO events SELECT i, 0, 'server.started', NULL, NULL, '{}', 'system' FROM n",
        (events,),
    )
    connection.close()


@pytest.fixture
def long(path: Path) -> Path:
    """A database whose events fill many pages."""
    lengthen(path, 30_000)
    return path


@pytest.fixture
def large(long: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that is too large to be checked at once."""
    monkeypatch.setattr(damage, "CHECKED_AT_ONCE_BYTES", 0)
    return long


def spoil(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xde\xad" * (PAGE // 2))


def leaf_of(path: Path, table: str, nth: int) -> int:
    """The number of one of its leaves; the last is -1."""
    connection = apsw.Connection(str(path))
    sql = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
    page = [page for (page,) in connection.execute(sql, (table,))][nth]
    connection.close()
    assert isinstance(page, int)
    return page


def test_a_sound_database_passes(long: Path) -> None:
    connection = apsw.Connection(str(long))
    assert find_faults(connection) == []
    connection.close()


def test_a_damaged_page_is_named_with_its_table(long: Path) -> None:
    last = long.stat().st_size // PAGE
    spoil(long, last)
    before = long.read_bytes()
    with pytest.raises(DamagedDatabase, match=rf"table events: .*page {last}\b.*headway backup"):
        open_writer(long)
    assert long.read_bytes() == before


# ---- a database that is too large to be checked at once -----------------------------------------


def test_what_a_start_reads_is_checked_before_anything_is_written(large: Path) -> None:
    page = leaf_of(large, "events", -1)
    spoil(large, page)
    before = large.read_bytes()
    with pytest.raises(DamagedDatabase, match=rf"table events: .*page {page}\b.*headway backup"):
        open_writer(large)
    assert large.read_bytes() == before


def test_history_is_not_checked_at_once_and_damage_there_is_never_served(large: Path) -> None:
    spoil(large, leaf_of(large, "events", 5))
    connection = open_writer(large)
    with pytest.raises(apsw.CorruptError):
        events_after(connection, 0, limit=30_000)
    connection.close()


def test_a_page_with_a_cell_beyond_its_end_is_refused_when_it_is_read(large: Path) -> None:
    page = leaf_of(large, "events", 5)
    connection = apsw.Connection(str(large))
    sql = "SELECT ncell FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' ORDER BY path"
    cells: list[Any] = [cells for (cells,) in connection.execute(sql)]
    first = 1 + sum(cells[:5])
    connection.close()
    with large.open("r+b") as file:
        # The first of the pointers to cells, behind the eight bytes of a leaf's head.
        file.seek((page - 1) * PAGE + 8)
        file.write((PAGE - 2).to_bytes(2, "big"))
    connection = open_writer(large)
    with pytest.raises(apsw.CorruptError):
        events_after(connection, first, limit=1)  # the second of the page, which is sound itself
    connection.close()


def test_opening_reads_as_much_whatever_the_history(large: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.db"
    shutil.copyfile(large, short)
    lengthen(large, 300_000)
    assert large.stat().st_size > 8 * short.stat().st_size
    with_history, without = (pages_read(path) for path in (large, short))
    # One level more of two trees.
    assert with_history <= without + 4


def pages_read(path: Path) -> int:
    """How many pages a start reads."""
    connection = open_writer(path)
    misses, _ = connection.status(apsw.SQLITE_DBSTATUS_CACHE_MISS)
    connection.close()
    return misses


def test_before_a_migration_all_of_it_is_checked(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = leaf_of(large, "events", 5)
    spoil(large, page)
    before = large.read_bytes()
    newer = (*migrations(), (9999, "CREATE TABLE one_more (x)"))
    monkeypatch.setattr("storage.database.migrations", lambda: newer)
    with pytest.raises(DamagedDatabase, match=rf"page {page}\b"):
        open_writer(large)
    assert large.read_bytes() == before


@pytest.mark.parametrize("sql", READ_AT_START)
def test_what_is_read_at_once_is_read_by_an_index(connection: apsw.Connection, sql: str) -> None:
    plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    table = sql.split(" FROM ")[1].split()[0]
    if table in ("jobs", "job_runs", "reservations"):
        assert all("INDEX" in step or "SEARCH" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


# ---- the check of all pages ---------------------------------------------------------------------


@pytest.fixture
def check(large: Path) -> Iterator[PageCheck]:
    writer = open_writer(large)
    yield PageCheck(large, open_reader)
    writer.close()


def test_all_pages_are_checked_while_it_is_in_use(large: Path, check: PageCheck) -> None:
    assert check.run() == []


def test_the_check_names_page_and_table(large: Path, check: PageCheck) -> None:
    page = leaf_of(large, "events", 5)
    spoil(large, page)
    (fault,) = check.run() or []
    assert fault.startswith("table events: ")
    assert f"page {page}" in fault


def test_a_check_that_is_stopped_says_nothing(check: PageCheck) -> None:
    check.stop()
    assert check.run() is None


def test_a_check_ends_when_the_log_grows_below_it(
    large: Path, check: PageCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "WAL_GROWTH_BYTES_MAX", -1)
    monkeypatch.setattr(damage, "STEPS_BETWEEN_PAUSES", 100)
    assert check.run() is None
