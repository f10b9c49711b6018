"""A run's output as server-sent events, as it is written, to the run's end.

Following counts in the file itself, which only grows.
"""

import codecs
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from actors.run_files import log_hole, open_regular
from storage.job import TERMINAL
from storage.jobs import find_job
from storage.runs import run_of_job
from web.log_view import CHUNK_BYTES
from web.services import Services
from web.sse import HEARTBEAT_S, event

NOT_YET_S = 0.05


class Follow:
    """A log as server-sent events, from `offset` in the file to the run's end.

    An iterator and not a generator: Trio's cancel scopes may not be held across a yield.
    """

    def __init__(self, services: Services, job_id: str, offset: int) -> None:
        self._services = services
        self._job_id = job_id
        self._offset = offset
        self._over = False
        self._seen = 0

    def __aiter__(self) -> "Follow":
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        await trio.lowlevel.checkpoint()
        # The status is read first: what was written before the end is read after it.
        job = find_job(self._services.reader, self._job_id)
        is_over = job.status in TERMINAL
        if (data := self._read(to_the_end=is_over)) is not None:
            return data
        if is_over:
            self._over = True
            return event("end", {"status": job.status.value})
        if self._services.draining.is_set():
            self._over = True
            return event("goodbye", {})
        if await self._wait():
            return b""
        return b": still here\n\n"

    def _log_path(self) -> Path | None:
        run = run_of_job(self._services.reader, self._job_id)
        return None if run is None else self._services.runs_dir / run.run_id / "log"

    def _read(self, *, to_the_end: bool) -> bytes | None:
        path = self._log_path()
        if path is None or not path.is_file():
            return None
        text = ""
        if (hole := log_hole(path)) is not None and hole[0] <= self._offset < hole[1]:
            text = f"\n[headway: {hole[1] - self._offset} bytes dropped here]\n"
            self._offset = hole[1]
        until = CHUNK_BYTES
        if hole is not None and self._offset < hole[0]:
            until = min(until, hole[0] - self._offset)
        with open_regular(path) as file:
            data = os.pread(file.fileno(), until, self._offset)
            self._seen = os.fstat(file.fileno()).st_size
        if log_hole(path) != hole:
            # The middle was dropped while we read: look again, or zeros would be shown.
            return self._read(to_the_end=to_the_end)
        at_hole = hole is not None and self._offset + len(data) == hole[0]
        at_end = to_the_end and self._offset + len(data) == self._seen
        more, length = whole_characters(data, final=at_hole or at_end)
        text += more
        self._offset += length
        return event("log", {"text": text}, self._offset) if text else None

    async def _wait(self) -> bool:
        """Until there may be more; False when only the time for a heartbeat has come."""
        path = self._log_path()
        with trio.move_on_after(HEARTBEAT_S) as scope:
            async with self._services.unless_draining():
                with self._services.feed.subscribe(self._job_id) as news:
                    if path is None:
                        await news.wait()
                    elif not path.exists():
                        await trio.sleep(NOT_YET_S)
                    else:
                        await self._wait_for_file(path, news.wait)
        return not scope.cancelled_caught

    async def _wait_for_file(self, path: Path, hear: Callable[[], Awaitable[None]]) -> None:
        with self._services.files.watching(path) as changed:
            # Written between our last read and the watch.
            if path.stat().st_size > self._seen:  # noqa: ASYNC240 - a stat does not wait
                return
            async with trio.open_nursery() as nursery:

                async def heard() -> None:
                    await hear()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(heard)
                await changed.wait()
                nursery.cancel_scope.cancel()


def whole_characters(data: bytes, *, final: bool) -> tuple[str, int]:
    """The text, and how many bytes it takes: without `final` the begun last character waits."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final)
    return text, len(data) - len(decoder.getstate()[0])
