"""Logs as they are shown: parts, ranges, and the marker for what was dropped."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.run.run_files import BLOCK_BYTES, RunFiles
from actors.runner import InlinePool
from headway.model.problem import Refusal
from web.streams.log_view import CHUNK_BYTES, LogView, chunks, line_start, parse_range, ranged

# ---- what is shown -----------------------------------------------------------------------------


def cut_log(path: Path, size: int, limit: int) -> RunFiles:
    files = RunFiles(path)
    files.create()
    files.log.write_bytes(bytes(n * 7 % 251 for n in range(size)))
    if limit:
        files.drop_middle(limit)
    return files


def test_a_whole_log_is_its_file(tmp_path: Path) -> None:
    files = cut_log(tmp_path / "run", 1000, 0)
    view = LogView.open(files.log)
    assert view.size == 1000
    assert view.read(0, 2000) == files.log.read_bytes()


def test_a_marker_stands_where_the_middle_was(tmp_path: Path) -> None:
    files = cut_log(tmp_path / "run", 10 * BLOCK_BYTES, 2 * BLOCK_BYTES)
    data = files.log.read_bytes()
    view = LogView.open(files.log)
    whole = view.read(0, view.size + 10)
    marker = f"\n[headway: {8 * BLOCK_BYTES} bytes dropped here]\n".encode()
    assert whole == data[:BLOCK_BYTES] + marker + data[-BLOCK_BYTES:]
    assert view.size == len(whole)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.touch()])
def test_a_log_that_is_not_there_or_empty_is_empty(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "log")
    view = LogView.open(tmp_path / "log")
    assert (view.size, view.read(0, 100)) == (0, b"")


@settings(max_examples=60)
@given(st.data())
def test_reading_a_part_is_slicing_the_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    size = data.draw(st.sampled_from([0, 1, 5000, 6 * BLOCK_BYTES, 9 * BLOCK_BYTES + 17]))
    limit = data.draw(st.sampled_from([0, BLOCK_BYTES, 3 * BLOCK_BYTES]))
    view = LogView.open(cut_log(tmp_path_factory.mktemp("log") / "run", size, limit).log)
    whole = view.read(0, view.size)
    assert len(whole) == view.size
    edges = [0, view.head, view.head + len(view.marker), view.size]
    near = st.builds(int.__add__, st.sampled_from(edges), st.integers(-3, 3))
    offsets = (near | st.integers(0, view.size + 5)).map(lambda n: max(0, n))
    for _ in range(10):
        offset = data.draw(offsets)
        length = data.draw(st.integers(0, view.size + 5) | st.integers(0, 50))
        assert view.read(offset, length) == whole[offset : offset + length]


async def test_a_large_log_goes_out_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = os.urandom(2 * CHUNK_BYTES + 100)
    path.write_bytes(data)
    view = LogView.open(path)
    pieces = [piece async for piece in chunks(view, 50, len(data) - 60, InlinePool())]
    assert b"".join(pieces) == data[50:-10]
    assert max(map(len, pieces)) <= CHUNK_BYTES


async def test_a_log_that_shrinks_while_it_is_read_ends(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 10)
    assert [piece async for piece in chunks(LogView.open(path), 0, 100, InlinePool())] == [
        b"x" * 10
    ]


# ---- ranges ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=2-5", (2, 5)),
        ("bytes=2-", (2, 9)),
        ("bytes=2-99", (2, 9)),
        ("bytes=-3", (7, 9)),
        ("bytes=-99", (0, 9)),
        (" bytes=0-1 ", (0, 1)),
        ("bytes=5-3", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=0-" + "9" * 30, None),
        ("", None),
    ],
)
def test_one_range_of_ten_bytes(header: str, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=99-100", 10)]
)
def test_a_range_outside_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(Refusal) as caught:
        parse_range(header, size)
    assert caught.value.code == "range_not_satisfiable"


@pytest.mark.parametrize(
    ("header", "offset", "status", "body"),
    [
        (None, None, 200, b"0123456789"),
        (None, 4, 200, b"456789"),
        (None, 99, 200, b""),
        ("bytes=2-4", None, 206, b"234"),
        ("bytes=2-4", 7, 206, b"234"),
        ("bytes=4-2", None, 200, b"0123456789"),
    ],
)
async def test_an_answer_with_or_without_a_range(
    tmp_path: Path, header: str | None, offset: int | None, status: int, body: bytes
) -> None:
    (tmp_path / "log").write_bytes(b"0123456789")
    response = await ranged(
        LogView.open(tmp_path / "log"), header, offset, "text/plain", InlinePool()
    )
    assert (response.status, response.body) == (status, body)
    assert response.headers["Content-Length"] == str(len(body))
    assert ("Content-Range" in response.headers) == (status == 206)
    if status == 206:
        assert response.headers["Content-Range"] == "bytes 2-4/10"


# ---- tails -------------------------------------------------------------------------------------


def start(data: bytes, length: int) -> int:
    return line_start(lambda at, n: data[at : at + n], len(data), length)


@given(st.lists(st.text("ab가🪨\n", max_size=9)).map("".join), st.integers(0, 40))
def test_a_tail_begins_with_a_whole_line_or_at_least_a_whole_character(
    text: str, length: int
) -> None:
    data = text.encode()
    begin = start(data, length)
    shown = data[begin:]
    shown.decode()
    if length >= len(data):
        assert begin == 0
        return
    assert len(shown) <= length
    lines_begin = {0} | {n + 1 for n, byte in enumerate(data) if byte == 10}
    within = [at for at in lines_begin if len(data) - length <= at < len(data)]
    assert begin == min(within) if within else begin < len(data) - length + 4


def test_a_tail_of_one_endless_line_does_not_look_at_all_of_it() -> None:
    asked: list[int] = []

    def read(at: int, n: int) -> bytes:
        asked.append(n)
        return b"x" * n

    assert line_start(read, 10**12, 10**9) == 10**12 - 10**9
    assert asked == [CHUNK_BYTES]
