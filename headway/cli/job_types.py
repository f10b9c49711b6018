"""`headway types`: what may be run."""

from cyclopts import App

from headway.cli.exit_status import EXIT_DONE, exit_with
from headway.cli.options import DEFAULT_URL, AsJson, Url, connect, print_json


def register(app: App) -> None:
    """Add the command to `app`."""
    app.command(types)


@exit_with
def types(*, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """List what may be run, with its parameters."""
    with connect(url) as client:
        found = client.job_types()
    if json:
        print_json(found)
    else:
        from headway.cli.job_type_view import types_table
        from headway.cli.table import write

        write(types_table(found))
    return EXIT_DONE
