"""Damage is found by its page before anything is written; a sound file passes."""

from pathlib import Path

import apsw
import pytest

from storage import damage
from storage.damage import refuse_damaged
from storage.database import open_writer
from storage.errors import DamagedDatabase

PAGE = 4096


@pytest.fixture
def long(path: Path) -> Path:
    """A database whose facts fill many pages."""
    connection = open_writer(path)
    connection.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO events SELECT i, 0, 'server.started', NULL, NULL, '{}' FROM n"
    )
    connection.close()
    return path


def spoil(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xde\xad" * (PAGE // 2))


def test_a_sound_database_passes(long: Path) -> None:
    connection = apsw.Connection(str(long))
    refuse_damaged(connection)
    connection.close()


def test_a_damaged_page_is_named_with_its_table(long: Path) -> None:
    last = long.stat().st_size // PAGE
    spoil(long, last)
    before = long.read_bytes()
    with pytest.raises(DamagedDatabase, match=rf"table events: .*page {last}\b.*headway backup"):
        open_writer(long)
    assert long.read_bytes() == before


def test_only_so_much_is_looked_at(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(long, long.stat().st_size // PAGE)
    monkeypatch.setattr(damage, "STEPS_MAX", 2)
    connection = apsw.Connection(str(long))
    refuse_damaged(connection)
    connection.close()
