"""What a request wants to run, checked by its job type: on the event loop only if that is quick.

Large bodies are checked on a thread, and so is every one that does not fit: to say what is wrong
takes a hundred times as long as to see that all is well.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from config.weight import is_light
from headway.model.job import BATCH_MAX, NewJob
from headway.model.problem import FAULTS_MAX, Fault, Refusal
from web.api.problem import checked
from web.context import Context
from web.json.batch import read_jobs

NEW_JOB = TypeAdapter(NewJob)


async def accept_params(
    context: Context, type_name: str, params: Mapping[str, Any], at: str = "/params"
) -> dict[str, Any]:
    """The params with defaults filled in; `at` is the JSON Pointer of the params object.

    Raises:
        Refusal: `unknown_type` or `invalid`.
    """
    job_type = context.job_type(type_name)
    if is_light(params) and (given := job_type.fit(params)) is not None:
        return given
    return await context.body_runner.run(partial(job_type.accept, params, at))


async def accept_job(context: Context, new: NewJob) -> NewJob:
    """The same Job, with its params checked by its type and its defaults filled in.

    Raises:
        Refusal: `unknown_type` or `invalid`.
    """
    job_type = context.job_types.get(new.type) if is_light(new.params) else None
    if job_type is not None and not job_type.is_exceeded_by(new.timeout_s):
        params = job_type.fit(new.params)
        if params is not None:
            return _with_params(new, params)
    return await context.body_runner.run(partial(accepted, context, new))


def accepted(context: Context, new: NewJob) -> NewJob:
    """The same, on the thread that calls it."""
    try:
        job_type = context.job_type(new.type)
        params = job_type.accept(new.params)
        if job_type.is_exceeded_by(new.timeout_s):
            message = f"at most the type's {job_type.timeout_s:g} seconds"
            raise Refusal("invalid", "correct timeout_s", (Fault("/timeout_s", message),))
    except Refusal as refusal:
        if refusal.code == "unknown_type":
            faults = (Fault("/type", refusal.detail),)
            raise Refusal(refusal.code, refusal.detail, faults) from None
        raise
    return _with_params(new, params)


def accepted_batch(context: Context, body: bytes | bytearray) -> tuple[NewJob, ...]:
    """Every Job of a batch, checked. It takes 0.2 s for 10,000: not for the event loop's thread.

    Raises:
        Refusal: `malformed_json`, `too_large`, or what is wrong with the first Jobs, with their
            places in the batch.
    """
    new, faults, first = list[NewJob](), list[Fault](), None
    for index, given in enumerate(read_jobs(body, BATCH_MAX)):
        try:
            new.append(accepted(context, checked(NEW_JOB, given)))
        except Refusal as refusal:
            first = first or Refusal(refusal.code, f"job {index}: {refusal.detail}")
            faults += (Fault(f"/jobs/{index}{f.pointer}", f.message) for f in refusal.faults)
            if len(faults) >= FAULTS_MAX:
                break
    if first is not None:
        raise Refusal(first.code, first.detail, tuple(faults[:FAULTS_MAX]))
    return tuple(new)


def _with_params(new: NewJob, params: dict[str, Any]) -> NewJob:
    # The model is frozen, its dictionary is not: copying the model costs as much as its row.
    new.params.clear()
    new.params.update(params)
    return new
