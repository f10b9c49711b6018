"""Space that is held back: taken, given up once, taken again."""

import os
from pathlib import Path

from storage.disk_reserve import DiskReserve

SIZE = 64 * 1024


def blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_it_takes_real_blocks_and_gives_them_up_once(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    reserve = DiskReserve(path, SIZE)
    assert not reserve.give_up()
    for _ in range(2):
        reserve.fill()
        reserve.fill()
        assert path.stat().st_size == SIZE
        assert blocks(path) >= SIZE
        assert path.stat().st_mode & 0o777 == 0o600
        assert reserve.give_up()
        assert not path.exists()
        assert not reserve.give_up()


def test_what_was_shorter_grows(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    DiskReserve(path, SIZE // 2).fill()
    DiskReserve(path, SIZE).fill()
    assert path.stat().st_size == SIZE


def test_nothing_can_be_held_back(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "reserve", 0)
    reserve.fill()
    assert os.listdir(tmp_path) == []
    assert not reserve.give_up()


def test_a_place_where_nothing_can_be_made_is_no_accident(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "missing" / "reserve", SIZE)
    reserve.fill()
    assert not reserve.give_up()
