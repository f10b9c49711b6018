"""What all client commands share: their options, their connection, how they print.

Everything heavy is imported when a command runs, so that `--help` stays quick.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from headway.cli.arguments import UsageError, parse_params
from headway.cli.output import show_text

if TYPE_CHECKING:
    from headway.client.client import Client

DEFAULT_URL = "http://127.0.0.1:8787"

Url = Annotated[str, Parameter(env_var="HEADWAY_URL", help="The server.")]
Raw = Annotated[
    bool,
    Parameter(negative="", help="Byte for byte on a terminal too, with the program's own escapes."),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
JobId = Annotated[str, Parameter(help="The Job, like job-0193….")]
TypeName = Annotated[str, Parameter(help="The job type; see `headway types`.")]
Pairs = Annotated[
    list[str] | None,
    Parameter(name="--param", negative="", help="A parameter as KEY=VALUE; repeat to give more."),
]
ParamsJson = Annotated[str | None, Parameter(help="All parameters as one JSON object.")]


@contextmanager
def connect(url: str) -> Iterator["Client"]:
    """A client of the server at `url`."""
    from headway.client.client import Client

    try:
        client = Client(url)
    except ValueError as error:
        raise UsageError(str(error)) from error
    with client:
        yield client


def read_params(
    client: "Client", type_name: str, given: str | None, pairs: list[str] | None
) -> dict[str, Any]:
    """The params object; the schema is requested only where it decides what a value means."""
    from headway.client.error import ApiError

    schema: dict[str, Any] = {}
    if pairs:
        try:
            schema = client.job_type(type_name).params_schema
        except ApiError as error:
            if error.code != "not_found":  # the request that follows explains an unknown type
                raise
    return parse_params(given, pairs or [], schema)


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    from pydantic_core import to_json

    show_text(to_json(value, indent=2).decode())
