"""The endpoints of the launcher that headway replaces, and their way out in three phases.

`legacy_triggers` chooses: "subprocess" runs at once beside the queue, as ever; "scheduler" queues
an ordinary Job; "off" answers 410. Every answer says that the endpoint is deprecated (RFC 9745),
until when it stays (RFC 8594), and what to call instead.
"""

from dataclasses import replace
from datetime import UTC, datetime, time
from email.utils import format_datetime
from typing import Annotated, Any

from pydantic import BaseModel

from actors import messages as m
from storage.errors import Refusal
from storage.job import Job, NewJob
from web.answering import refused
from web.api import Answer, Api, Body
from web.services import Services

DEPRECATED_SINCE = datetime(2026, 1, 18, tzinfo=UTC)


class Triggered(BaseModel):
    """The old answer."""

    job_id: str
    type: str
    status: str
    message: str


def register(api: Api, services: Services) -> None:
    """Add the trigger of every type; the old API had two, story and research."""

    @api.route(
        "POST",
        "/jobs/{type}/trigger",
        status=202,
        tag="deprecated",
        summary="Start a program at once. Deprecated: POST /jobs",
        refusals=("unknown_type", "invalid", "gone", "queue_full", "shutting_down", "storage_full"),
        deprecated=True,
        headers={
            "Deprecation": "since when (RFC 9745)",
            "Sunset": "until when, if the operator has said so (RFC 8594)",
            "Link": "the successor",
            "Location": "the Job",
        },
    )
    async def trigger(
        type: str, body: Annotated[dict[str, Any], Body(optional=True)]
    ) -> Answer[Triggered]:
        notices = deprecation_headers(services)
        try:
            job = await run_trigger(services, type, body)
        except Refusal as refusal:
            no: Answer[Triggered] = refused(refusal)
            return replace(no, headers={**no.headers, **notices})
        done = Triggered(
            job_id=job.job_id,
            type=job.type,
            status=job.status.value,
            message=f"{type} accepted; this endpoint is deprecated, use POST /jobs",
        )
        return Answer(done, headers={**notices, "Location": f"/jobs/{job.job_id}"})


async def run_trigger(services: Services, type: str, params: dict[str, Any]) -> Job:
    """Do what the configured phase wants."""
    phase = services.settings.server.legacy_triggers
    if phase == "off":
        raise Refusal("gone", f'POST /jobs with {{"type": "{type}", "params": …}} instead')
    accepted = services.job_type(type).accept(params, at="")
    if phase == "subprocess":
        return await services.ask(m.TriggerJob(type=type, params=accepted))
    new = NewJob(type=type, params=accepted)
    return (await services.ask(m.SubmitJobs(jobs=(new,), origin="legacy"))).jobs[0]


def deprecation_headers(services: Services) -> dict[str, str]:
    """The three headers; Sunset only when the operator has set a date."""
    headers = {
        "Deprecation": f"@{int(DEPRECATED_SINCE.timestamp())}",
        "Link": '</jobs>; rel="successor-version"',
    }
    if (sunset := services.settings.server.sunset) is not None:
        at = datetime.combine(sunset, time(), UTC)
        headers["Sunset"] = format_datetime(at, usegmt=True)
    return headers
