"""Following a log: what is written arrives, once, with its time, until the run ends."""

import os
from datetime import datetime
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json
from trio.testing import wait_all_tasks_blocked

from actors.run.run_files import BLOCK_BYTES, RunFiles
from headway.model.field import from_us
from web.context import Context
from web.streams.log_follower import SHORTER, Follow, whole_characters
from web.streams.sse import HEARTBEAT_S


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


class LogReading:
    """A client that follows; `text` is all it received, `events` their names."""

    def __init__(self, context: Context, job: Any, offset: int = 0, **given: Any) -> None:
        self.follow = Follow(context, job.job_id, offset, **given)
        self.pieces: list[Any] = []
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
                    data = from_json(fields["data"])
                    self.text += data.get("text", "")
                    self.pieces.append(data)


@pytest.fixture
async def following(context: Context, submit: Any, programs: Any, nursery: trio.Nursery) -> Any:
    job = await submit()
    reader = LogReading(context, job)
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


async def test_it_goes_on_where_it_was_left(following: Any, context: Context) -> None:
    reader, process, job = following
    process.write("하나\n".encode())
    await soon()
    process.write(b"two\n")
    process.end()
    await soon()
    again = LogReading(context, job, len("하나\n".encode()))
    await again.run()
    assert again.text == "two\n"
    assert again.last_id == reader.last_id
    assert again.events[-1] == "end"


async def test_a_silent_run_keeps_the_connection_alive(following: Any) -> None:
    reader, _, _ = following
    await trio.sleep(3.5 * HEARTBEAT_S)
    assert (reader.text, reader.beats) == ("", 3)


async def test_a_queued_job_is_waited_for(
    context: Context, submit: Any, programs: Any, nursery: trio.Nursery
) -> None:
    await submit()
    waiting = await submit()
    reader = LogReading(context, waiting)
    nursery.start_soon(reader.run)
    await trio.sleep(1)
    assert reader.events == []
    programs.processes[0].end()
    await soon()
    programs.processes[1].write(b"at last")
    programs.processes[1].end()
    await trio.sleep(1)
    assert (reader.text, reader.events[-1]) == ("at last", "end")


async def test_a_draining_server_sends_goodbye(following: Any, context: Context) -> None:
    reader, process, _ = following
    process.write(b"x")
    context.draining.set()
    await soon()
    assert reader.events[-1] == "goodbye"


@pytest.mark.parametrize("offset", [5, 2**63 - 1])
async def test_past_the_end_of_the_log_is_its_end(
    context: Context, following: Any, nursery: trio.Nursery, offset: int
) -> None:
    _, process, job = following
    process.write(b"one\n")
    late = LogReading(context, job, offset)
    nursery.start_soon(late.run)
    await soon()
    process.write(b"two\n")
    process.end()
    await soon()
    assert (late.text, late.events[-1]) == ("two\n", "end")


async def test_a_log_that_becomes_shorter_is_followed_from_its_new_beginning(
    following: Any,
) -> None:
    reader, process, _ = following
    process.write(b"one\ntwo\n")
    await soon()
    os.truncate(process.launch.log, 0)
    process.write(b"new\n")
    await soon()
    process.write(b"end\n")
    process.end()
    await soon()
    assert reader.text == "one\ntwo\n" + SHORTER + "new\nend\n"
    assert reader.events[-1] == "end"


async def test_a_marker_stands_for_what_was_dropped(
    context: Context, submit: Any, programs: Any
) -> None:
    job = await submit()
    process = programs.processes[0]
    process.write(b"a" * 20 * BLOCK_BYTES)
    RunFiles(process.launch.log.parent).drop_middle(2 * BLOCK_BYTES)
    process.end()
    await soon()
    reader = LogReading(context, job)
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
    context: Context, submit: Any, programs: Any
) -> None:
    job = await submit()
    process = programs.processes[0]
    process.write("가".encode() * 10 * BLOCK_BYTES)
    RunFiles(process.launch.log.parent).drop_middle(2 * BLOCK_BYTES)
    process.write(b"the end")
    process.end()
    await soon()
    reader = LogReading(context, job)
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


async def test_a_tail_begins_at_a_line_near_the_end(
    context: Context, submit: Any, programs: Any
) -> None:
    job = await submit()
    process = programs.processes[0]
    process.write(b"".join(b"%04d\n" % n for n in range(100_000)))
    process.end()
    await soon()
    reader = LogReading(context, job, tail=12)
    await reader.run()
    assert reader.text == "99998\n99999\n"
    assert reader.pieces[0]["offset"] == reader.last_id - 12


async def test_a_tail_of_a_run_that_has_not_begun_is_all_of_it(
    context: Context, submit: Any, programs: Any, nursery: trio.Nursery
) -> None:
    await submit()
    waiting = await submit()
    reader = LogReading(context, waiting, tail=5)
    nursery.start_soon(reader.run)
    await trio.sleep(1)
    programs.processes[0].end()
    await soon()
    programs.processes[1].write(b"a longer line\n")
    programs.processes[1].end()
    await trio.sleep(1)
    assert reader.text.endswith("line\n")
    assert reader.events[-1] == "end"


async def test_a_tail_that_would_begin_in_the_dropped_middle_has_a_marker(
    context: Context, submit: Any, programs: Any
) -> None:
    job = await submit()
    process = programs.processes[0]
    process.write(b"a" * 20 * BLOCK_BYTES)
    RunFiles(process.launch.log.parent).drop_middle(2 * BLOCK_BYTES)
    process.end()
    await soon()
    reader = LogReading(context, job, tail=3 * BLOCK_BYTES)
    await reader.run()
    marker = f"\n[headway: {18 * BLOCK_BYTES} bytes dropped here]\n"
    assert reader.text == marker + "a" * BLOCK_BYTES


async def test_each_piece_has_the_time_when_it_was_written(
    following: Any, context: Context, autojump_clock: Any
) -> None:
    reader, process, job = following
    await trio.sleep(1)  # the run is watched
    moments = []
    for word in (b"one\n", b"two\n", b"three\n"):
        await trio.sleep(10)
        moments.append(from_us(context.clock.now()))
        process.write(word)
        await soon()
        await trio.sleep(1)
    process.end()
    await soon()
    for pieces in (reader.pieces, (await again(context, job)).pieces):
        written = [datetime.fromisoformat(piece["at"]) for piece in pieces if "at" in piece]
        assert 0 <= (written[0] - moments[0]).total_seconds() < 0.5
    assert [piece["offset"] for piece in reader.pieces if "at" in piece] == [0, 4, 8]
    late = [datetime.fromisoformat(piece["at"]) for piece in reader.pieces if "at" in piece]
    assert all(0 <= (at - m).total_seconds() < 0.5 for at, m in zip(late, moments, strict=True))


async def again(context: Context, job: Any) -> LogReading:
    """A client that comes when all is over."""
    reader = LogReading(context, job)
    await reader.run()
    return reader
