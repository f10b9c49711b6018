"""/jobs/JOB_ID/artifacts: the files that a program left."""

from functools import partial
from pathlib import Path
from typing import Annotated

import apsw
from pydantic_core import to_json

from actors.rules.public import list_json
from actors.run.collection import open_artifact
from headway.model.artifact import Artifact, ArtifactList, Collection
from headway.model.problem import Refusal
from storage import jobs
from storage.jobs import status_of
from storage.run_parts import artifact_of_job, run_and_result
from web.api.request import Request, wait_preference
from web.api.response import Response
from web.api.routes import Header, Routes
from web.context import Context
from web.streams.log_view import TEXT, LogView, RangeHeader, ranged, refusal_of


def register(routes: Routes, context: Context) -> None:
    """Add the list of a Job's artifacts, and their bytes."""

    @routes.add(
        "GET",
        "/jobs/{job_id}/artifacts",
        tag="jobs",
        summary="What the program left, with size and SHA-256",
        refusals=("not_found", "rate_limited"),
    )
    async def list_artifacts(
        request: Request,
        job_id: str,
        prefer: Annotated[
            str | None,
            Header("Prefer", "`wait=N`: answer when all are collected, at most N ≤ 60 seconds."),
        ] = None,
    ) -> Response[ArtifactList]:
        jobs.status_of(context.reader, job_id)  # it is there
        headers = {}
        if (wait_s := wait_preference(prefer)) is not None:
            request.take_stream()
            await context.until_collected(job_id, wait_s)
            headers["Preference-Applied"] = f"wait={wait_s}"
        body = await context.walk(partial(artifact_list_body, job_id))
        return Response(body=body, headers=headers)

    @routes.add(
        "GET",
        "/jobs/{job_id}/artifacts/{name}",
        tag="jobs",
        summary="One artifact's bytes",
        media=("application/octet-stream",),
        refusals=(
            *("not_found", "gone", "wrong_state", "range_not_satisfiable"),
            *("rate_limited", "unavailable"),
        ),
        headers={"Accept-Ranges": "bytes", "ETag": "its SHA-256, when it is known"},
        also={206: "the range that was asked for"},
    )
    async def get_artifact(job_id: str, name: str, range: RangeHeader = None) -> Response[None]:
        status_of(context.reader, job_id)  # it is there
        found = await context.walk(lambda c: artifact_of_job(c, job_id, name))
        if found is None:
            raise Refusal("not_found", f"{job_id} has no artifact {name!r}: GET …/artifacts lists")
        run_id, artifact, reason = found
        if not artifact.kept:
            raise Refusal("gone", f"{name!r} was not kept: {reason}")
        open_file = partial(open_artifact, context.runs_dir / run_id, name)
        pool = context.file_pool
        try:
            view = await pool.run(lambda _: LogView.open_whole(open_file))
            response = await ranged(view, range, None, guess_type(name), pool)
        except OSError as error:
            raise refusal_of(error, f"the artifact {name!r}") from None
        if artifact.sha256 is not None:
            response.headers["ETag"] = f'"{artifact.sha256}"'
        # Whatever a program left must not run as a page of this origin.
        response.headers["Content-Security-Policy"] = "sandbox"
        return response


def artifact_list_body(job_id: str, connection: apsw.Connection) -> bytes:
    """Up to 10,000 artifacts of a Job's run, as JSON."""
    if (found := run_and_result(connection, "job_id", job_id)) is None:
        artifacts, collection = list[Artifact](), Collection(complete=False, reason=None)
    else:
        artifacts, collection = found[0].artifacts, found[0].collection
    return b'{"artifacts":%s,"collection":%s}' % (list_json(artifacts), to_json(collection))


def guess_type(name: str) -> str:
    """A media type that a browser may show without running anything."""
    known = {".md": TEXT, ".txt": TEXT, ".log": TEXT, ".json": "application/json"}
    known |= {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
    return known.get(Path(name).suffix.lower(), "application/octet-stream")
