"""/jobs: queue, list, inspect, change, cancel, retry."""

from functools import partial
from typing import Annotated, Literal

import apsw
from pydantic import Field

from actors import messages as m
from actors.rules.public import JobTypes, job_body, public_job, run_body
from headway.model.field import Name
from headway.model.job import Batch, BatchResponse, Job, JobPage, JobPatch, JobStatus, NewJob
from headway.model.problem import Fault, Refusal
from headway.model.run import RunList
from storage import job_list, jobs
from storage.job_id import id_beginning
from storage.job_list import JobFilter
from storage.run_parts import run_and_result
from web.api.request import Request, wait_preference
from web.api.response import Response
from web.api.routes import Body, Header, Query, Routes, Unread
from web.context import Context
from web.resources.acceptance import accept_job, accepted_batch
from web.resources.idempotency import (
    REPLAYED,
    IdempotencyKey,
    create_once,
    replay_headers,
    request_key,
)

LARGE_BYTES = 64 * 1024
"""Params that are not read and shown on the event loop."""

IfMatch = Annotated[str | None, Header("If-Match", "Only if the Job still has one of these ETags.")]


def register(routes: Routes, context: Context) -> None:
    """Add the operations on Jobs."""
    register_submit(routes, context)
    register_list(routes, context)
    register_read(routes, context)
    register_change(routes, context)
    register_retry(routes, context)


def register_submit(routes: Routes, context: Context) -> None:
    """POST /jobs and /jobs/batch."""

    @routes.add(
        "POST",
        "/jobs",
        status=201,
        tag="jobs",
        summary="Queue a Job; answered when it is on disk",
        refusals=(
            "unknown_type",
            "invalid",
            "idempotency_mismatch",
            "queue_full",
            "rate_limited",
            "storage_full",
        ),
        headers={"Location": "the Job", "ETag": "its version", **REPLAYED},
    )
    async def submit(
        request: Request,
        body: Annotated[NewJob, Body()],
        idempotency_key: IdempotencyKey = None,
        prefer: Annotated[
            str | None,
            Header("Prefer", "`wait=N`: answer when the Job has ended, at most N ≤ 60 seconds."),
        ] = None,
    ) -> Response[Job]:
        if (wait_s := wait_preference(prefer)) is not None:
            request.take_stream()
        new = await accept_job(context, body)
        key = await request_key(context, request, idempotency_key)
        done = await context.ask(m.SubmitJobs(jobs=(new,), key=key))
        headers = replay_headers(done)
        if wait_s is None and done.response is not None:
            return Response(body=done.response, headers=headers)
        job_id = headers["Location"].rpartition("/")[2]
        if wait_s is None:
            (job,) = done.jobs
        else:
            # Also of a replay: who asks again after a lost connection still wants to know.
            job = await context.until_ended(job_id, wait_s)
            headers["Preference-Applied"] = f"wait={wait_s}"
        headers["ETag"] = f'"{job.version}"'
        shown = job_body(context.with_progress(job), context.job_types)
        return Response(body=shown, headers=headers)

    @routes.add(
        "POST",
        "/jobs/batch",
        status=201,
        tag="jobs",
        summary="Queue up to 10,000 Jobs in one transaction: all or none",
        refusals=("unknown_type", "invalid", "idempotency_mismatch", "queue_full", "storage_full"),
        headers=REPLAYED,
    )
    async def submit_batch(
        request: Request,
        body: Annotated[Unread[Batch], Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[BatchResponse]:
        new = await context.batch_runner.run(partial(accepted_batch, context, body.raw))
        key = await request_key(context, request, idempotency_key)
        done = await context.ask(m.SubmitJobs(jobs=new, key=key, batch=True))
        return Response(body=done.response, headers=replay_headers(done))


def register_list(routes: Routes, context: Context) -> None:
    """GET /jobs."""

    @routes.add(
        "GET",
        "/jobs",
        tag="jobs",
        summary="List Jobs in order of arrival, a page at a time",
        refusals=("invalid",),
    )
    async def list_jobs(
        status: Annotated[list[JobStatus], Query("Only these statuses.")] = [],  # noqa: B006
        type: Annotated[list[Name], Query("Only these types.")] = [],  # noqa: B006
        label: Annotated[
            list[Annotated[str, Field(pattern=r"^[^=]+=", max_length=200)]],
            Query("Only Jobs with this label, as `key=value`; repeated: with all of them."),
        ] = [],  # noqa: B006
        q: Annotated[
            Annotated[str, Field(max_length=200)] | None,
            Query(
                "Only Jobs whose name, id or type contains this text; or, of the beginning of an id"
                " (`job-` and six characters or more), only those whose id begins so."
            ),
        ] = None,
        retry_of: Annotated[
            Annotated[str, Field(min_length=1, max_length=200)] | None,
            Query("Only the retries of the Job with this id."),
        ] = None,
        limit: Annotated[
            Annotated[int, Field(ge=1, le=job_list.PAGE_MAX)], Query("Jobs per page.")
        ] = 50,
        cursor: Annotated[
            Name | None, Query("`next_cursor` of the page before, with the same filters.")
        ] = None,
        order: Annotated[
            Literal["asc", "desc"], Query("By arrival: newest first (desc) or oldest first (asc).")
        ] = "desc",
    ) -> JobPage:
        wanted = JobFilter(
            statuses=tuple(status),
            types=tuple(type),
            labels=tuple(label),
            text=q,
            retry_of=retry_of,
            order=order,
        )
        page, next_cursor = await context.walk(
            lambda connection: job_list.list_jobs(connection, wanted, limit=limit, cursor=cursor),
            is_long=bool(q) and id_beginning(q) is None,
        )
        return JobPage.model_construct(
            jobs=[public_job(context.with_progress(job), context.job_types) for job in page],
            next_cursor=next_cursor,
            counts=job_list.count_by_status(context.reader),
        )


def register_read(routes: Routes, context: Context) -> None:
    """GET on one Job and on its runs."""

    @routes.add(
        "GET",
        "/jobs/{job_id}",
        tag="jobs",
        summary="One Job",
        refusals=("not_found",),
        headers={"ETag": "its version"},
    )
    async def get_job(job_id: str) -> Response[Job]:
        if jobs.params_bytes(context.reader, job_id) <= LARGE_BYTES:
            return job_response(context, jobs.find_job(context.reader, job_id))
        return await context.walk(lambda c: job_response(context, jobs.find_job(c, job_id)))

    @routes.add(
        "GET",
        "/jobs/{job_id}/runs",
        tag="jobs",
        summary="The single attempt at a Job",
        refusals=("not_found",),
    )
    async def list_runs(job_id: str) -> Response[RunList]:
        jobs.status_of(context.reader, job_id)  # it is there
        read = partial(run_list_body, job_id, context.job_types)
        return Response(body=await context.walk(read))


def register_change(routes: Routes, context: Context) -> None:
    """PATCH, DELETE and cancel."""

    @routes.add(
        "PATCH",
        "/jobs/{job_id}",
        tag="jobs",
        summary="Change a QUEUED Job",
        refusals=("not_found", "wrong_state", "precondition_failed", "invalid", "storage_full"),
        headers={"ETag": "its new version"},
    )
    async def patch_job(
        job_id: str, body: Annotated[JobPatch, Body()], if_match: IfMatch = None
    ) -> Response[Job]:
        for name in ("priority", "labels"):
            if name in body.model_fields_set and getattr(body, name) is None:
                fault = Fault(f"/{name}", "may not be null: leave it out to keep it as it is")
                raise Refusal("invalid", f"correct /{name}", (fault,))
        patch = m.PatchJob(job_id=job_id, patch=body, if_match=etags(if_match))
        return job_response(context, await context.ask(patch))

    @routes.add(
        "DELETE",
        "/jobs/{job_id}",
        tag="jobs",
        summary="Cancel a QUEUED Job; it stays on record",
        refusals=("not_found", "wrong_state", "precondition_failed", "storage_full"),
    )
    async def delete_job(job_id: str, if_match: IfMatch = None) -> Response[Job]:
        delete = m.DeleteJob(job_id=job_id, if_match=etags(if_match))
        return job_response(context, await context.ask(delete))

    @routes.add(
        "POST",
        "/jobs/{job_id}/cancel",
        status=202,
        tag="jobs",
        summary="Cancel a Job, queued or running: TERM to its process tree, then KILL",
        refusals=("not_found", "wrong_state", "storage_full"),
        repeatable=True,
    )
    async def cancel_job(job_id: str) -> Response[Job]:
        return job_response(context, await context.ask(m.CancelJob(job_id=job_id)))


def register_retry(routes: Routes, context: Context) -> None:
    """POST /jobs/{job_id}/retry."""

    @routes.add(
        "POST",
        "/jobs/{job_id}/retry",
        status=201,
        tag="jobs",
        summary="Queue a new Job like one that has ended",
        refusals=(
            "not_found",
            "wrong_state",
            "unknown_type",
            "invalid",
            "idempotency_mismatch",
            "queue_full",
            "storage_full",
        ),
        headers={"Location": "the new Job", "ETag": "its version", **REPLAYED},
    )
    async def retry_job(
        request: Request, job_id: str, idempotency_key: IdempotencyKey = None
    ) -> Response[Job]:
        retry = m.RetryJob(job_id=job_id)
        if (key := await request_key(context, request, idempotency_key)) is not None:
            return await create_once(context, retry, key)
        job = await context.ask(retry)
        answer = job_response(context, job)
        answer.headers["Location"] = f"/jobs/{job.job_id}"
        return answer


def run_list_body(job_id: str, types: JobTypes, connection: apsw.Connection) -> bytes:
    """The run of a Job as a list, as JSON. Params, command line and result may have 1 MiB each."""
    if (found := run_and_result(connection, "job_id", job_id)) is None:
        return b'{"runs":[],"total":0}'
    return b'{"runs":[%s],"total":1}' % run_body(*found, types)


def job_response(context: Context, job: Job) -> Response[Job]:
    """A Job with its ETag."""
    body = job_body(context.with_progress(job), context.job_types)
    return Response(body=body, headers={"ETag": f'"{job.version}"'})


def etags(if_match: str | None) -> frozenset[str] | None:
    """The entity tags of an If-Match header (RFC 9110, 13.1.1)."""
    if if_match is None:
        return None
    return frozenset(tag.strip() for tag in if_match.split(","))
