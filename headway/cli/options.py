"""What every client verb of the command line shares: its options, its connection, its printing.

Everything heavy is imported when a verb runs, so that `--help` stays quick.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from headway.cli.arguments import UsageError
from headway.cli.output import show_text

if TYPE_CHECKING:
    from headway.client.client import Client
    from headway.model.job_type import JobTypeView
    from headway.model.scheduler import SchedulerConfig, SchedulerStatus

DEFAULT_URL = "http://127.0.0.1:8787"

Url = Annotated[str, Parameter(env_var="HEADWAY_URL", help="The server.")]
Raw = Annotated[
    bool,
    Parameter(negative="", help="On a terminal too byte for byte, with the program's own escapes."),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
JobId = Annotated[str, Parameter(help="The Job, like job-0193….")]


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


def print_view(value: "list[JobTypeView] | SchedulerStatus | SchedulerConfig", json: bool) -> None:
    """Print an answer as JSON, or as it looks to a person."""
    if json:
        print_json(value)
    else:
        from headway.cli.table import view, write

        write(view(value))


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    from pydantic_core import to_json

    show_text(to_json(value, indent=2).decode())
