"""The sampled times of a log: what they say, how many there are, what may happen to the file."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.run import log_times
from actors.run.log_times import LogSize, LogTimes, read_times, time_of

NOW = 1_800_000_000_000_000


def test_a_byte_was_written_by_the_first_moment_that_saw_it(tmp_path: Path) -> None:
    times = LogTimes(tmp_path / "times")
    times.note(0, NOW)
    times.note(10, NOW + 1)
    times.note(10, NOW + 2)
    times.note(30, NOW + 3)
    seen = read_times(tmp_path / "times")
    assert seen == [LogSize(10, NOW + 1), LogSize(30, NOW + 3)]
    assert [time_of(seen, offset) for offset in (0, 9, 10, 29, 30)] == [
        NOW + 1, NOW + 1, NOW + 3, NOW + 3, None,
    ]  # fmt: skip


def test_a_log_that_becomes_shorter_is_timed_anew(tmp_path: Path) -> None:
    times = LogTimes(tmp_path / "times")
    times.note(10, NOW)
    times.note(4, NOW + 1)
    times.note(6, NOW + 2)
    assert read_times(tmp_path / "times") == [LogSize(4, NOW + 1), LogSize(6, NOW + 2)]


def test_another_server_goes_on_where_the_first_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "times"
    LogTimes(path).note(10, NOW)
    with path.open("ab") as file:
        file.write(b"torn")
    again = LogTimes(path)
    again.note(10, NOW + 5)
    again.note(20, NOW + 6)
    assert read_times(path) == [LogSize(10, NOW), LogSize(20, NOW + 6)]


@pytest.mark.parametrize(
    "forged", [b"\xff" * 16, b'{"progress": 0.5', bytes(16), struct.pack("<QQ", 20, 2**63 - 1)]
)
def test_records_that_a_program_has_forged_are_left_out(tmp_path: Path, forged: bytes) -> None:
    path = tmp_path / "times"
    LogTimes(path).note(10, NOW)
    with path.open("ab") as file:
        file.write(forged)
    assert read_times(path) == [LogSize(10, NOW)]
    path.write_bytes(forged)
    again = LogTimes(path)
    again.note(20, NOW + 1)
    again.finish(30, NOW + 2)


@settings(max_examples=30)
@given(st.data())
def test_the_file_is_bounded_and_stays_true(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / "times"
    steps = data.draw(st.lists(st.integers(0, 50), min_size=1, max_size=300))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_times, "RECORDS_MAX", 16)
        times = LogTimes(path)
        size, now, truth = 0, NOW, []
        for step in steps:
            size, now = size + step, now + 100_000
            truth.append((size, now))
            times.note(size, now)
            assert len(read_times(path)) <= 16
        times.finish(size, now)
    seen = read_times(path)
    assert len(seen) <= 17
    assert seen == sorted(seen)
    for offset in range(0, size, 7):
        written = next(at for size_, at in truth if size_ > offset)
        shown_at = time_of(seen, offset)
        assert shown_at is not None
        assert shown_at >= written
        before = [record for record in seen if record.size <= offset]
        if before:
            assert written > before[-1].at, "and not before the entry before"


def test_the_end_is_kept_however_soon_it_comes(tmp_path: Path) -> None:
    times = LogTimes(tmp_path / "times")
    times.finish(5, NOW)
    assert read_times(tmp_path / "times") == [], "it was not watched: the run's own times say more"
    times.note(5, NOW)
    times.finish(9, NOW + 1)
    assert read_times(tmp_path / "times")[-1] == LogSize(9, NOW + 1)


def test_a_clock_that_is_set_back_keeps_the_order(tmp_path: Path) -> None:
    times = LogTimes(tmp_path / "times")
    times.note(5, NOW)
    times.note(9, NOW - 1000)
    assert read_times(tmp_path / "times") == [LogSize(5, NOW), LogSize(9, NOW)]


@pytest.mark.parametrize("trick", ["link", "fifo", "directory"])
def test_a_program_that_puts_something_else_there_harms_nobody(
    tmp_path: Path, silent_log: None, trick: str
) -> None:
    path, victim = tmp_path / "times", tmp_path / "victim"
    victim.write_bytes(b"x" * 16)
    times = LogTimes(path)
    if trick == "link":
        path.symlink_to(victim)
    elif trick == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    times.note(5, NOW)
    assert victim.read_bytes() == b"x" * 16
    assert read_times(path) == []
