"""The endpoints of the launcher that headway replaces, and their way out in three phases.

`legacy_triggers` chooses: "subprocess" runs at once beside the queue, as ever; "scheduler" queues
an ordinary Job; "off" answers 410. Every answer says that the endpoint is deprecated (RFC 9745),
until when it stays (RFC 8594), and what to call instead.
"""

from dataclasses import replace
from datetime import UTC, datetime, time
from email.utils import format_datetime
from typing import Annotated, Any

from actors import messages as m
from headway.model.job import Job, NewJob
from headway.model.legacy import Triggered
from headway.model.problem import Refusal
from storage.idempotency import Key
from web.api.request import Request
from web.api.response import Response, refused
from web.api.routes import Body, Routes
from web.context import Context
from web.resources.acceptance import accept_params
from web.resources.idempotency import REPLAYED, IdempotencyKey, replay_headers, request_key

DEPRECATED_SINCE = datetime(2026, 1, 18, tzinfo=UTC)


def register(routes: Routes, context: Context) -> None:
    """Add the trigger of every type; the old API had two, story and research."""

    @routes.add(
        "POST",
        "/jobs/{type}/trigger",
        status=202,
        tag="deprecated",
        summary="Start a program at once. Deprecated: POST /jobs",
        refusals=(
            "unknown_type",
            "invalid",
            "idempotency_mismatch",
            "gone",
            "queue_full",
            "shutting_down",
            "storage_full",
        ),
        deprecated=True,
        headers={
            "Deprecation": "since when (RFC 9745)",
            "Sunset": "until when, if the operator has said so (RFC 8594)",
            "Link": "the successor",
            "Location": "the Job",
            **REPLAYED,
        },
    )
    async def trigger(
        request: Request,
        type: str,
        body: Annotated[dict[str, Any], Body(optional=True)],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Triggered]:
        notices = deprecation_headers(context)
        try:
            key = await request_key(context, request, idempotency_key)
            done = await run_trigger(context, type, body, key)
        except Refusal as refusal:
            no: Response[Triggered] = refused(refusal)
            return replace(no, headers={**no.headers, **notices})
        job = done.jobs[0] if done.jobs else Job.model_validate_json(done.response or b"")
        triggered = Triggered(
            job_id=job.job_id,
            type=job.type,
            status=job.status.value,
            message=f"{type} accepted; this endpoint is deprecated, use POST /jobs",
        )
        location = {"Location": f"/jobs/{job.job_id}"}
        return Response(triggered, headers={**notices, **location, **replay_headers(done)})


async def run_trigger(
    context: Context, type: str, params: dict[str, Any], key: Key | None
) -> m.Submission:
    """Do what the configured phase wants."""
    phase = context.settings.server.legacy_triggers
    if phase == "off":
        raise Refusal("gone", f'POST /jobs with {{"type": "{type}", "params": …}} instead')
    accepted = await accept_params(context, type, params, at="")
    if phase == "scheduler":
        new = NewJob(type=type, params=accepted)
        return await context.ask(m.SubmitJobs(jobs=(new,), origin="legacy", key=key))
    trigger = m.TriggerJob(type=type, params=accepted)
    if key is not None:
        return await context.ask(m.Once(key=key, message=trigger))
    return m.Submission(jobs=(await context.ask(trigger),))


def deprecation_headers(context: Context) -> dict[str, str]:
    """The three headers; Sunset only when the operator has set a date."""
    headers = {
        "Deprecation": f"@{int(DEPRECATED_SINCE.timestamp())}",
        "Link": '</jobs>; rel="successor-version"',
    }
    if (sunset := context.settings.server.sunset) is not None:
        at = datetime.combine(sunset, time(), UTC)
        headers["Sunset"] = format_datetime(at, usegmt=True)
    return headers
