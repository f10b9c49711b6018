"""/job-types: what may be run, what its parameters may be, and what they would make of it."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic_core import to_json

from config.job_type import JobType
from config.parameter import Parameter
from config.weight import is_light
from headway.model.job_type import Argument, JobTypeList, JobTypeView, Preview, PreviewRequest
from headway.model.problem import Refusal
from web.api.response import Response
from web.api.routes import Body, Routes
from web.context import Context
from web.resources.acceptance import accept_params


def register(routes: Routes, context: Context) -> None:
    """Add the operations on job types."""

    @routes.add("GET", "/job-types", tag="job types", summary="What may be run")
    async def list_types() -> JobTypeList:
        return JobTypeList(job_types=[type_view(t) for t in context.job_types.values()])

    @routes.add(
        "GET",
        "/job-types/{type}",
        tag="job types",
        summary="One job type, with the JSON Schema of its params",
        refusals=("not_found",),
    )
    async def get_type(type: str) -> JobTypeView:
        if (job_type := context.job_types.get(type)) is None:
            raise Refusal("not_found", f"there is no job type {type!r}: GET /job-types lists them")
        return type_view(job_type)

    @routes.add(
        "POST",
        "/job-types/{type}/preview",
        tag="job types",
        summary="The exact command line that these params would make; nothing is queued",
        refusals=("unknown_type", "invalid"),
        repeatable=True,
    )
    async def preview(
        type: str, body: Annotated[PreviewRequest, Body(optional=True)]
    ) -> Response[Preview]:
        params = await accept_params(context, type, body.params)
        show = partial(preview_body, context.job_type(type), params)
        return Response(body=show() if is_light(params) else await context.body_runner.run(show))


def preview_body(job_type: JobType, params: Mapping[str, Any]) -> bytes:
    """What accepted params would start, as JSON."""
    shown = job_type.redact(params)
    stdin = job_type.stdin(shown)
    preview = Preview.model_construct(
        argv=job_type.argv(shown),
        stdin=None if stdin is None else stdin.decode(),
        params=dict(shown),
    )
    return to_json(preview)


def type_view(job_type: JobType) -> JobTypeView:
    """A type as clients see it: not its command, not its environment."""
    schema = job_type.schema
    properties = {
        name: entry | hints_of(job_type.params[name])
        for name, entry in schema["properties"].items()
    }
    return JobTypeView(
        name=job_type.name,
        description=job_type.description,
        params_schema=schema | {"properties": properties},
        input=job_type.input,
        arguments=[
            Argument(name=name, arg=param.arg, positional=param.positional, secret=param.secret)
            for name, param in job_type.params.items()
        ],
        timeout_s=job_type.timeout_s,
        kill_grace_s=job_type.kill_grace_s,
        concurrency=job_type.concurrency,
        adopt=job_type.adopt,
        output=job_type.output,
        skip_exit_codes=list(job_type.skip_exit_codes),
    )


def hints_of(param: Parameter) -> dict[str, bool]:
    """What a form should know of a parameter beyond its schema."""
    hints = {"writeOnly": param.secret, "x-single-line": param.single_line}
    return {name: value for name, value in hints.items() if value}
