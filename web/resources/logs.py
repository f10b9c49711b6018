"""/jobs/JOB_ID/log: the output of a program, and when it was written.

What is shown of a log is in `log_view.py`, how it is followed in `log_follower.py`.
"""

from typing import Annotated

from pydantic import Field

from actors.run.log_times import read_times
from actors.run.run_files import RunFiles
from headway.model.field import MAX_INT, from_us
from headway.model.log import LogTime, LogTimeList
from headway.model.problem import Fault, Refusal
from storage.jobs import status_of
from storage.run_parts import RunHead, head_of_run
from web.api.response import Response
from web.api.routes import Header, Query, Routes
from web.context import Context
from web.streams.log_follower import Follow
from web.streams.log_view import TEXT, LogView, RangeHeader, ranged, refusal_of
from web.streams.sse import SSE, SSE_HEADERS, event_number


def register(routes: Routes, context: Context) -> None:
    """Add the log and its times."""
    register_log(routes, context)
    register_times(routes, context)


def register_log(routes: Routes, context: Context) -> None:
    """GET /jobs/{job_id}/log."""

    @routes.add(
        "GET",
        "/jobs/{job_id}/log",
        tag="jobs",
        summary="What the program wrote; with `Accept: text/event-stream`, live until its end",
        media=("text/plain", SSE),
        refusals=(
            *("not_found", "gone", "wrong_state", "range_not_satisfiable"),
            *("invalid", "rate_limited", "unavailable"),
        ),
        headers={"Accept-Ranges": "bytes", "Log-Offset": "with `tail`: where the answer begins"},
        also={206: "the range that was asked for"},
    )
    async def get_log(
        job_id: str,
        offset: Annotated[
            Annotated[int, Field(ge=0, le=MAX_INT)] | None,
            Query("Begin at this byte; past the end is empty."),
        ] = None,
        tail: Annotated[
            Annotated[int, Field(ge=0, le=MAX_INT)] | None,
            Query("Begin at the first line of the last so many bytes. `Range` is then ignored."),
        ] = None,
        accept: Annotated[str | None, Header("Accept", "`text/event-stream` follows.")] = None,
        last_event_id: Annotated[
            str | None, Header("Last-Event-ID", "Go on behind this event of the stream.")
        ] = None,
        range: RangeHeader = None,
    ) -> Response[None]:
        status_of(context.reader, job_id)  # it is there
        if offset is not None and tail is not None:
            faults = (Fault("/tail", "leave it out, or leave offset out"),)
            raise Refusal("invalid", "give offset or tail, not both", faults)
        if accept is not None and SSE in accept:
            begin = event_number(last_event_id)
            follow = Follow(context, job_id, offset or 0, tail=tail)
            if begin is not None:
                follow = Follow(context, job_id, begin, resumes=True)
            return Response(pieces=follow, headers=dict(SSE_HEADERS))
        run = head_of_run(context.reader, job_id)
        path = context.runs_dir / (run.run_id if run else "none") / "log"
        try:
            view = await context.file_pool.run(lambda _: LogView.open(path))
            if view.size == 0 and run is not None and run.log_bytes > 0:
                raise Refusal("gone", f"the log of {job_id} is not there any more")
            if tail is None:
                return await ranged(view, range, offset, TEXT, context.file_pool)
            offset = await context.file_pool.run(lambda _: view.line_start(tail))
            response = await ranged(view, None, offset, TEXT, context.file_pool)
        except OSError as error:
            raise refusal_of(error, f"the log of {job_id}") from None
        response.headers["Log-Offset"] = str(offset)
        return response


def register_times(routes: Routes, context: Context) -> None:
    """GET /jobs/{job_id}/log/times."""

    @routes.add(
        "GET",
        "/jobs/{job_id}/log/times",
        tag="jobs",
        summary="When the output was written",
        refusals=("not_found",),
    )
    async def get_log_times(job_id: str) -> LogTimeList:
        status_of(context.reader, job_id)  # it is there
        if (run := head_of_run(context.reader, job_id)) is None:
            return LogTimeList(times=[])
        return await context.file_pool.run(lambda _: LogTimeList(times=times_of(context, run)))


def times_of(context: Context, run: RunHead) -> list[LogTime]:
    """What was sampled while the run was watched, and its end for what came after."""
    files = RunFiles(context.runs_dir / run.run_id)
    seen = read_times(files.times)
    begins = [0, *(record.size for record in seen)]
    times = [
        LogTime(offset=offset, at=from_us(record.at))
        for offset, record in zip(begins, seen, strict=False)
    ]
    if run.finished_at is not None and files.log_bytes() > begins[-1]:
        times.append(LogTime(offset=begins[-1], at=from_us(run.finished_at)))
    return times
