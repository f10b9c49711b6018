"""Server-sent events of a run's output, as it is written, to the end of the run.

Their offsets are those in the log file, which only grows.
"""

import codecs
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol

import apsw
import trio

from actors.clock import Clock
from actors.event_buffer import EventBuffer
from actors.host.file_tree import open_in
from actors.host.inotify import FileWatcher
from actors.run.log_times import LogSize, read_times, time_of
from actors.run.run_files import hole_of
from actors.runner import Pool
from headway.model.field import from_us
from headway.model.job import TERMINAL
from storage.jobs import status_of
from storage.runs import finished_at_of, run_id_of
from web.streams.log_view import CHUNK_BYTES, line_start
from web.streams.sse import HEARTBEAT_S, format_event

NOT_YET_S = 0.05
LOOKS_MAX = 10
"""How often a log whose middle is being dropped is read in a row."""
SHORTER = "\n[headway: the program has truncated its output; it goes on from its new beginning]\n"


class FollowContext(Protocol):
    """The part of the web layer's `Context` that a follower of a log needs."""

    @property
    def clock(self) -> Clock: ...
    @property
    def draining(self) -> trio.Event: ...
    @property
    def events(self) -> EventBuffer: ...
    @property
    def file_pool(self) -> Pool: ...
    @property
    def files(self) -> FileWatcher: ...
    @property
    def reader(self) -> apsw.Connection: ...
    @property
    def runs_dir(self) -> Path: ...

    def unless_draining(self) -> AbstractAsyncContextManager[None]: ...


class Follow:
    """A log as server-sent events, from `offset` in the file, or its end, to the end of the run.

    With `tail`: from the first line of the last `tail` bytes, when it is first read.

    An iterator and not a generator: Trio's cancel scopes may not be held across a yield.
    """

    def __init__(
        self,
        context: FollowContext,
        job_id: str,
        offset: int,
        *,
        tail: int | None = None,
        resumes: bool = False,
    ) -> None:
        """`resumes`: the file has been as long as `offset`, and is followed from there."""
        self._context = context
        self._job_id = job_id
        self._offset = offset
        self._tail = tail
        self._resumes = resumes
        self._over = False
        self._is_unreadable = False
        self._seen = 0
        self._times: list[LogSize] = []

    def __aiter__(self) -> "Follow":
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        await trio.lowlevel.checkpoint()
        # The status is read first, so that output from before the end is read after it.
        status = status_of(self._context.reader, self._job_id)
        is_over = status in TERMINAL
        if (data := await self._read(to_the_end=is_over)) is not None:
            return data
        if is_over:
            self._over = True
            return format_event("end", {"status": status.value})
        if self._context.draining.is_set():
            self._over = True
            return format_event("goodbye", {})
        if await self._wait():
            return b""
        return b": still here\n\n"

    def _log_path(self) -> Path | None:
        run_id = run_id_of(self._context.reader, self._job_id)
        return None if run_id is None else self._context.runs_dir / run_id / "log"

    async def _read(self, *, to_the_end: bool) -> bytes | None:
        path = self._log_path()
        if path is None:
            return None
        try:
            piece = await self._context.file_pool.run(
                lambda _: self._read_file(path, to_the_end=to_the_end)
            )
        except FileNotFoundError:
            return None
        except OSError:
            self._is_unreadable = True  # its program has replaced it
            return None
        if piece is None:
            return None
        text, begin, at = piece
        shown = {"text": text, "offset": begin, "at": self._moment(at)}
        return format_event("log", shown, self._offset)

    def _read_file(self, path: Path, *, to_the_end: bool) -> tuple[str, int, int | None] | None:
        """The next text, its offset, and when it was written (µs), if that was sampled."""
        descriptor = open_in(path)
        try:
            if not self._resumes:
                self._offset = min(self._offset, os.fstat(descriptor).st_size)
                self._resumes = True
            for _ in range(LOOKS_MAX):
                read = self._read_piece(descriptor)
                if self._seen < self._offset:
                    # The program has made it shorter: it is read again from its start.
                    self._offset, self._times = 0, []
                    return SHORTER, 0, self._context.clock.now()
                if read is not None:
                    break
        finally:
            os.close(descriptor)
        if read is None:
            return None
        text, data, at_hole = read
        at_end = to_the_end and self._offset + len(data) == self._seen
        more, length = whole_characters(data, final=at_hole or at_end)
        text += more
        begin, self._offset = self._offset, self._offset + length
        return (text, begin, self._time_of(path, begin)) if text else None

    def _read_piece(self, descriptor: int) -> tuple[str, bytes, bool] | None:
        """A marker, bytes, and whether a hole follows them.

        None: read again. The file is shorter than it was, or its middle was dropped during the
        read, so that zeros were read.
        """
        self._seen = os.fstat(descriptor).st_size
        if self._seen < self._offset:
            return None
        text, hole = "", hole_of(descriptor)
        if self._tail is not None:
            self._offset = tail_offset(descriptor, hole, self._tail)
            self._tail = None
        if hole is not None and hole[0] <= self._offset < hole[1]:
            text = f"\n[headway: {hole[1] - self._offset} bytes dropped here]\n"
        begin = self._offset if hole is None or not text else hole[1]
        until = CHUNK_BYTES
        if hole is not None and begin < hole[0]:
            until = min(until, hole[0] - begin)
        data = os.pread(descriptor, until, begin)
        self._seen = os.fstat(descriptor).st_size
        if hole_of(descriptor) != hole:
            return None
        self._offset = begin
        return text, data, hole is not None and begin + len(data) == hole[0]

    def _time_of(self, path: Path, offset: int) -> int | None:
        self._times += read_times(path.with_name("times"), after=len(self._times))
        return time_of(self._times, offset)

    def _moment(self, at: int | None) -> datetime:
        """The time of a byte: without a sample, that of the run's end, or now."""
        if at is None:
            at = finished_at_of(self._context.reader, self._job_id)
        return from_us(self._context.clock.now() if at is None else at)

    async def _wait(self) -> bool:
        """Wait for more output. False: only the time for a heartbeat has come."""
        path = self._log_path()
        with trio.move_on_after(HEARTBEAT_S) as scope:
            async with self._context.unless_draining():
                with self._context.events.subscribe(self._job_id) as changes:
                    if path is None or self._is_unreadable:
                        await changes.wait()
                    elif not path.exists():
                        await trio.sleep(NOT_YET_S)
                    else:
                        await self._wait_for_file(path, changes.wait)
        return not scope.cancelled_caught

    async def _wait_for_file(
        self, path: Path, wait_for_change: Callable[[], Awaitable[None]]
    ) -> None:
        with ExitStack() as stack:
            try:
                changed = stack.enter_context(self._context.files.watching(path))
                # Written between the last read and the start of the watch.
                if path.stat().st_size != self._seen:  # noqa: ASYNC240 - a stat does not wait
                    return
            except OSError:  # it was just removed, or the host's limit of watches is reached
                await trio.sleep(NOT_YET_S)
                return
            async with trio.open_nursery() as nursery:

                async def wait_for_event() -> None:
                    await wait_for_change()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(wait_for_event)
                await changed.wait()
                nursery.cancel_scope.cancel()


def tail_offset(descriptor: int, hole: tuple[int, int] | None, length: int) -> int:
    """The offset of the first line in the last `length` bytes, or of a hole among them."""
    size = os.fstat(descriptor).st_size
    begin = line_start(lambda at, n: os.pread(descriptor, n, at), size, length)
    return hole[0] if hole is not None and hole[0] <= begin < hole[1] else begin


def whole_characters(data: bytes, *, final: bool) -> tuple[str, int]:
    """The text, and its bytes. Without `final` an incomplete last character is left for later."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final)
    return text, len(data) - len(decoder.getstate()[0])
