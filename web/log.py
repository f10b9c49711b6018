"""/jobs/{id}/log and the artifacts' bytes: what a program wrote and left.

What is shown of a log is in `log_view.py`, how it is followed in `follow.py`.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from quart import Response

from actors.run_files import RunFiles
from storage.errors import Refusal
from storage.job import MAX_INT
from storage.jobs import find_job
from storage.runs import run_of_job
from web.api import Api, Header, Query
from web.follow import Follow
from web.log_view import LogView, ranged
from web.services import Services
from web.sse import SSE, SSE_HEADERS, event_number

TEXT = "text/plain; charset=utf-8"

RangeHeader = Annotated[
    str | None, Header("Range", "`bytes=FIRST-LAST`, one range (RFC 9110, 14).")
]


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
