"""/jobs/{id}/log and the artifacts' bytes: what a program wrote and left.

A log whose middle was dropped is shown as its beginning, one line that says how much is missing,
and its end; `offset` and `Range` count in what is shown. Following counts in the file itself, which
only grows.
"""

import codecs
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import trio
from pydantic import Field
from pydantic_core import to_json
from quart import Response

from actors.run_files import RunFiles, log_hole, open_regular
from storage.database import Runner
from storage.errors import Refusal
from storage.job import MAX_INT, TERMINAL
from storage.jobs import find_job
from storage.runs import run_of_job
from web.api import Api, Header, Query
from web.services import Services

CHUNK_BYTES = 64 * 1024
HEARTBEAT_S = 45.0
"""Proxies and clients commonly give a silent stream up after 60 seconds."""
NOT_YET_S = 0.05
TEXT = "text/plain; charset=utf-8"
SSE = "text/event-stream"
SSE_HEADERS = {"Content-Type": SSE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}

RangeHeader = Annotated[
    str | None, Header("Range", "`bytes=FIRST-LAST`, one range (RFC 9110, 14).")
]


@dataclass(frozen=True, slots=True)
class LogView:
    """A log as it is shown: the file's beginning, a marker for what was dropped, its end."""

    path: Path
    head: int
    marker: bytes
    tail_at: int
    tail: int

    @classmethod
    def open(cls, path: Path) -> "LogView":
        """Look at the file now; one that is not there is empty."""
        try:
            size = path.lstat().st_size
            hole = log_hole(path)
        except OSError:
            return cls(path, 0, b"", 0, 0)
        if hole is None:
            return cls(path, size, b"", size, 0)
        begin, end = hole
        marker = f"\n[headway: {end - begin} bytes dropped here]\n".encode()
        return cls(path, begin, marker, end, size - end)

    @property
    def size(self) -> int:
        """Bytes shown."""
        return self.head + len(self.marker) + self.tail

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` of what is shown."""
        out = b""
        if offset < self.head:
            out = self._pread(offset, min(length, self.head - offset))
        skipped = max(0, offset - self.head)
        if len(out) < length and skipped < len(self.marker):
            out += self.marker[skipped:][: length - len(out)]
        skipped = max(0, offset - self.head - len(self.marker))
        if len(out) < length and skipped < self.tail:
            wanted = min(length - len(out), self.tail - skipped)
            out += self._pread(self.tail_at + skipped, wanted)
        return out

    def _pread(self, offset: int, length: int) -> bytes:
        with open_regular(self.path) as file:
            return os.pread(file.fileno(), length, offset)


def register(api: Api, services: Services) -> None:
    """Add the log and the artifacts' files."""

    @api.route(
        "GET",
        "/jobs/{job_id}/log",
        tag="jobs",
        summary="What the program wrote; with `Accept: text/event-stream`, live until its end",
        media=("text/plain", SSE),
        refusals=("not_found", "range_not_satisfiable", "invalid"),
        headers={"Accept-Ranges": "bytes"},
        also={206: "the range that was asked for"},
    )
    async def get_log(
        job_id: str,
        offset: Annotated[
            Annotated[int, Field(ge=0, le=MAX_INT)] | None,
            Query("Begin at this byte; past the end is empty."),
        ] = None,
        accept: Annotated[str | None, Header("Accept", "`text/event-stream` follows.")] = None,
        last_event_id: Annotated[
            str | None, Header("Last-Event-ID", "Go on behind this event of the stream.")
        ] = None,
        range: RangeHeader = None,
    ) -> Response:
        find_job(services.reader, job_id)
        if accept is not None and SSE in accept:
            begin = event_number(last_event_id)
            begin = offset or 0 if begin is None else begin
            response = Response(Follow(services, job_id, begin), headers=SSE_HEADERS)
            response.timeout = None
            return response
        run = run_of_job(services.reader, job_id)
        path = services.runs_dir / (run.run_id if run else "none") / "log"
        return ranged(LogView.open(path), range, offset, TEXT, services.walker_runner)

    @api.route(
        "GET",
        "/jobs/{job_id}/artifacts/{name}",
        tag="jobs",
        summary="One artifact's bytes",
        media=("application/octet-stream",),
        refusals=("not_found", "range_not_satisfiable"),
        headers={"Accept-Ranges": "bytes", "ETag": "its SHA-256"},
        also={206: "the range that was asked for"},
    )
    async def get_artifact(job_id: str, name: str, range: RangeHeader = None) -> Response:
        find_job(services.reader, job_id)
        run = run_of_job(services.reader, job_id)
        found = [] if run is None else [one for one in run.artifacts if one.name == name]
        path = None
        if run is not None and found:
            path = RunFiles(services.runs_dir / run.run_id).find_artifact(name)
        if path is None:
            raise Refusal("not_found", f"{job_id} has no artifact {name!r}: GET …/artifacts lists")
        size = path.stat().st_size
        response = ranged(
            LogView(path, size, b"", size, 0),
            range,
            None,
            guess_type(name),
            services.walker_runner,
        )
        response.headers["ETag"] = f'"{found[0].sha256}"'
        # Whatever a program left must not run as a page of this origin.
        response.headers["Content-Security-Policy"] = "sandbox"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def guess_type(name: str) -> str:
    """A media type that a browser may show without running anything."""
    known = {".md": TEXT, ".txt": TEXT, ".log": TEXT, ".json": "application/json"}
    known |= {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
    return known.get(Path(name).suffix.lower(), "application/octet-stream")


def ranged(
    view: LogView, header: str | None, offset: int | None, media: str, reader: Runner
) -> Response:
    """The whole, or from `offset`, or the range asked for.

    Raises:
        Refusal: `range_not_satisfiable`.
    """
    first, last, status = min(offset or 0, view.size), view.size - 1, 200
    headers = {"Accept-Ranges": "bytes", "Content-Type": media}
    if header is not None and (asked := parse_range(header, view.size)) is not None:
        first, last, status = *asked, 206
        headers["Content-Range"] = f"bytes {first}-{last}/{view.size}"
    length = max(0, last - first + 1)
    headers["Content-Length"] = str(length)
    if length <= CHUNK_BYTES:
        return Response(view.read(first, length), status=status, headers=headers)
    response = Response(chunks(view, first, length, reader), status=status, headers=headers)
    response.timeout = None
    return response


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """(first, last) of one byte range; None if the header is one to ignore (RFC 9110, 14.2)."""
    match = re.fullmatch(r"bytes=(\d{0,19})-(\d{0,19})", header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
        if match[2] and int(match[2]) < first:
            return None
    if first > last:
        raise Refusal("range_not_satisfiable", f"there are {size} bytes")
    return first, last


async def chunks(view: LogView, first: int, length: int, reader: Runner) -> AsyncIterator[bytes]:
    """The bytes in pieces, so that a large file is never held in memory."""
    while length > 0:
        data = await reader.run(partial(view.read, first, min(length, CHUNK_BYTES)))
        if not data:
            return
        yield data
        first += len(data)
        length -= len(data)


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


def event_number(last_event_id: str | None) -> int | None:
    """The number in a Last-Event-ID header; None if there is none of ours."""
    if last_event_id is None or not re.fullmatch(r"[0-9]{1,18}", last_event_id):
        return None
    return int(last_event_id)


def whole_characters(data: bytes, *, final: bool) -> tuple[str, int]:
    """The text, and how many bytes it takes: without `final` the begun last character waits."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final)
    return text, len(data) - len(decoder.getstate()[0])


def event(name: str, data: object, number: int | None = None) -> bytes:
    """One server-sent event (WHATWG HTML, 9.2)."""
    head = f"event: {name}\n" if number is None else f"event: {name}\nid: {number}\n"
    return head.encode() + b"data: " + to_json(data) + b"\n\n"
