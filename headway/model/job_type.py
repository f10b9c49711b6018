"""JobType: what may be run, as the operator defined it."""

from typing import Any

from headway.model.field import Model


class JobType(Model):
    """What may be run, as the operator defined it."""

    name: str
    description: str
    params_schema: dict[str, Any]
    timeout_s: float | None
    concurrency: int | None
    skip_exit_codes: list[int]


class Preview(Model):
    """What params would start; in place of each secret value stands `***`."""

    argv: list[str]
    stdin: str | None
    params: dict[str, Any]


class JobTypeList(Model):
    job_types: list[JobType]
