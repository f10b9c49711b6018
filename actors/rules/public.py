"""Jobs and runs as clients may see them: with the values of secret parameters masked."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from config.job_type import JobType
from headway.model.job import Job
from headway.model.run import JobRun

JobTypes = Mapping[str, JobType]
PART = 500
"""Artifacts that take less than a millisecond to write."""


def public_job(job: Job, types: JobTypes) -> Job:
    """The Job with the values of secret parameters masked."""
    masked = _masked(job.type, job.params, types)
    return job if masked is job.params else job.model_copy(update={"params": masked})


def public_run(run: JobRun, types: JobTypes) -> JobRun:
    """The run with the values of secret parameters masked (its argv is stored masked)."""
    masked = _masked(run.type, run.params_snapshot, types)
    if masked is run.params_snapshot:
        return run
    return run.model_copy(update={"params_snapshot": masked})


def run_body(run: JobRun, result: str, types: JobTypes, **more: Any) -> bytes:
    """A run as JSON, with the JSON text of its result, and `more` fields."""
    apart = {"result", "artifacts"}
    shown = run.__pydantic_serializer__.to_json(public_run(run, types), exclude=apart)
    added = {name: to_json(value) for name, value in more.items()}
    added |= {"result": result.encode(), "artifacts": list_json(run.artifacts)}
    fields = b"".join(b',"%s":%s' % (name.encode(), text) for name, text in added.items())
    return b"".join((shown[:-1], fields, b"}"))


def list_json(items: Sequence[Any]) -> bytes:
    """A long list as JSON, in parts: each is written with the interpreter's lock held."""
    parts = (to_json(items[begin : begin + PART]) for begin in range(0, len(items), PART))
    return b"[%s]" % b",".join(part[1:-1] for part in parts)


def job_body(job: Job, types: JobTypes) -> bytes:
    """The body of the response to `POST /jobs`."""
    return job.__pydantic_serializer__.to_json(public_job(job, types))


def batch_body(job_ids: Sequence[str], first: int) -> bytes:
    """The answer to `POST /jobs/batch`. `first`: the position of the first, which others follow."""
    return to_json(
        {"jobs": [{"job_id": job_id, "position": n} for n, job_id in enumerate(job_ids, first)]}
    )


def _masked(type_name: str, params: dict[str, Any], types: JobTypes) -> Mapping[str, Any]:
    if job_type := types.get(type_name):
        return job_type.redact(params)
    # The type is no longer configured, so which of its values are secret is unknown.
    return dict.fromkeys(params, "***") if params else params
