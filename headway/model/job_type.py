"""Job types as clients see them; the operator's definition is `config.job_type.JobType`."""

from typing import Any, Literal

from headway.model.field import Model, empty_object


class Argument(Model):
    """How one parameter reaches the command line; with neither, it does on standard input."""

    name: str
    arg: str | None
    positional: bool
    secret: bool


class JobTypeView(Model):
    """A job type as clients see it, with the JSON Schema of its params as the operator wrote it.

    `arguments` has the order of the command line. A secret parameter is `writeOnly`. Where `adopt`
    is false a run does not outlive a crash of the server: it fails as `interrupted`. With `output`
    "file" the log itself is the program's standard output, and `> /dev/stderr` truncates it.
    """

    name: str
    description: str
    params_schema: dict[str, Any]
    input: Literal["arguments", "json"]
    arguments: list[Argument]
    timeout_s: float
    kill_grace_s: float
    concurrency: int | None
    adopt: bool
    output: Literal["pipe", "file"]
    skip_exit_codes: list[int]


class JobTypeList(Model):
    """Every configured type."""

    job_types: list[JobTypeView]


class PreviewRequest(Model):
    """The parameters of the type."""

    params: dict[str, Any] = empty_object()


class Preview(Model):
    """What would be started: in place of each secret value stands `***`.

    `stdin` is what the program would read; null: nothing. `params` hold the defaults.
    """

    argv: list[str]
    stdin: str | None
    params: dict[str, Any]
