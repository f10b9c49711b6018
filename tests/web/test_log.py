"""Logs as they are shown: ranges, the marker for what was dropped, and following to the end."""

import os
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json
from trio.testing import wait_all_tasks_blocked

from actors.run_files import BLOCK_BYTES, RunFiles
from actors.runner import InlineRunner
from storage.errors import Refusal
from web.follow import Follow, whole_characters
from web.log import guess_type
from web.log_view import CHUNK_BYTES, LogView, chunks, parse_range, ranged
from web.sse import HEARTBEAT_S, event

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
    pieces = [piece async for piece in chunks(view, 50, len(data) - 60, InlineRunner())]
    assert b"".join(pieces) == data[50:-10]
    assert max(map(len, pieces)) <= CHUNK_BYTES


async def test_a_log_that_shrinks_meanwhile_ends(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 10)
    assert [piece async for piece in chunks(LogView.open(path), 0, 100, InlineRunner())] == [
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
    response = ranged(LogView.open(tmp_path / "log"), header, offset, "text/plain", InlineRunner())
    assert (response.status_code, await response.get_data()) == (status, body)
    assert response.headers["Content-Length"] == str(len(body))
    assert ("Content-Range" in response.headers) == (status == 206)
    if status == 206:
        assert response.headers["Content-Range"] == "bytes 2-4/10"


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("a.md", "text/plain; charset=utf-8"),
        ("A.PNG", "image/png"),
        ("a.json", "application/json"),
        ("a.html", "application/octet-stream"),
        ("a.svg", "application/octet-stream"),
        ("a.js", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_nothing_that_could_run_is_shown(name: str, media: str) -> None:
    assert guess_type(name) == media


# ---- following ---------------------------------------------------------------------------------


@given(st.text(min_size=1), st.data())
def test_a_cut_character_waits_for_its_rest(text: str, data: st.DataObject) -> None:
    encoded = text.encode(errors="ignore")
    cut = data.draw(st.integers(0, len(encoded)))
    shown, length = whole_characters(encoded[:cut], final=False)
    assert cut - 3 <= length <= cut
    assert encoded[:length].decode() == shown
    assert whole_characters(encoded, final=True) == (encoded.decode(), len(encoded))


@pytest.mark.parametrize("data", [b"\x80\x80\x80\x80", b"a\xffb", b"", b"\xff", b"\xc1"])
def test_what_is_no_utf8_is_not_waited_for(data: bytes) -> None:
    assert whole_characters(data, final=False)[1] == len(data)


def test_at_the_end_half_a_character_is_shown_as_such() -> None:
    assert whole_characters(b"a\xc3", final=True) == ("a\ufffd", 2)


def test_an_event_on_the_wire() -> None:
    assert event("log", {"text": "a\nb"}, 7) == b'event: log\nid: 7\ndata: {"text":"a\\nb"}\n\n'
    assert event("end", {}) == b"event: end\ndata: {}\n\n"


class Reader:
    """A client that follows; `text` is all it was told, `events` their names."""

    def __init__(self, services: Any, job: Any, offset: int = 0) -> None:
        self.follow = Follow(services, job.job_id, offset)
        self.text = ""
        self.events: list[str] = []
        self.last_id = 0
        self.beats = 0

    async def run(self) -> None:
        empty = 0
        async for piece in self.follow:
            # Virtual time stands still for who never waits, so no deadline would end the test.
            empty = 0 if piece else empty + 1
            assert empty < 100, "it reads again and again and never waits"
            for block in piece.decode().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
                if block.startswith(":"):
                    self.beats += 1
                elif fields:
                    self.events.append(fields["event"])
                    self.last_id = int(fields.get("id", self.last_id))
                    self.text += from_json(fields["data"]).get("text", "")


@pytest.fixture
async def following(services: Any, submit: Any, programs: Any, nursery: trio.Nursery) -> Any:
    job = await submit()
    reader = Reader(services, job)
    nursery.start_soon(reader.run)
    await wait_all_tasks_blocked()
    return reader, programs.processes[0], job


async def soon() -> None:
    """The kernel's word of a written file, and whatever comes of it."""
    for _ in range(3):
        await wait_all_tasks_blocked(0.001)


async def test_what_is_written_arrives_and_then_the_end(following: Any) -> None:
    reader, process, _ = following
    for word in ("one\n", "둘\n", "three\n"):
        process.write(word.encode())
        await soon()
        assert reader.text.endswith(word)
    process.write(b"last words")
    process.end()
    await soon()
    assert reader.text == "one\n둘\nthree\nlast words"
    assert reader.events[-1] == "end"


async def test_it_goes_on_where_it_was_left(following: Any, services: Any) -> None:
    reader, process, job = following
    process.write("하나\n".encode())
    await soon()
    process.write(b"two\n")
    process.end()
    await soon()
    again = Reader(services, job, len("하나\n".encode()))
    await again.run()
    assert again.text == "two\n"
    assert again.last_id == reader.last_id
    assert again.events[-1] == "end"


async def test_a_silent_run_keeps_the_connection_alive(following: Any) -> None:
    reader, _, _ = following
    await trio.sleep(3.5 * HEARTBEAT_S)
    assert (reader.text, reader.beats) == ("", 3)


async def test_a_queued_job_is_waited_for(
    services: Any, submit: Any, programs: Any, nursery: trio.Nursery
) -> None:
    await submit()
    waiting = await submit()
    reader = Reader(services, waiting)
    nursery.start_soon(reader.run)
    await trio.sleep(1)
    assert reader.events == []
    programs.processes[0].end()
    await soon()
    programs.processes[1].write(b"at last")
    programs.processes[1].end()
    await trio.sleep(1)
    assert (reader.text, reader.events[-1]) == ("at last", "end")


async def test_a_draining_server_says_goodbye(following: Any, services: Any) -> None:
    reader, process, _ = following
    process.write(b"x")
    services.draining.set()
    await soon()
    assert reader.events[-1] == "goodbye"


async def test_what_was_dropped_is_said(services: Any, submit: Any, programs: Any) -> None:
    job = await submit()
    process = programs.processes[0]
    process.write(b"a" * 20 * BLOCK_BYTES)
    RunFiles(process.launch.log.parent).drop_middle(2 * BLOCK_BYTES)
    process.end()
    await soon()
    reader = Reader(services, job)
    await reader.run()
    marker = f"\n[headway: {18 * BLOCK_BYTES} bytes dropped here]\n"
    assert reader.text == "a" * BLOCK_BYTES + marker + "a" * BLOCK_BYTES
    assert reader.last_id == 20 * BLOCK_BYTES


async def test_a_character_that_comes_in_two_writes_arrives_whole(following: Any) -> None:
    reader, process, _ = following
    first, second = "가".encode()[:2], "가".encode()[2:]
    process.write(b"x" + first)
    await soon()
    process.write(second + b"y")
    await soon()
    process.end()
    await soon()
    assert reader.text == "x가y"


async def test_a_character_may_be_cut_by_what_was_dropped(
    services: Any, submit: Any, programs: Any
) -> None:
    job = await submit()
    process = programs.processes[0]
    process.write("가".encode() * 10 * BLOCK_BYTES)
    RunFiles(process.launch.log.parent).drop_middle(2 * BLOCK_BYTES)
    process.write(b"the end")
    process.end()
    await soon()
    reader = Reader(services, job)
    await reader.run()
    assert "bytes dropped here" in reader.text
    assert reader.text.endswith("the end")


async def test_half_a_character_at_the_end_is_shown_as_broken(following: Any) -> None:
    reader, process, _ = following
    process.write(b"x\xea\xb0")
    process.end()
    await soon()
    assert reader.text in ("x\ufffd", "x\ufffd\ufffd")
    assert reader.events[-1] == "end"
