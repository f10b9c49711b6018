"""`headway scheduler …`: start, stop and inspect the scheduler of a server."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from headway.cli import reservations
from headway.cli.exit_status import EXIT_DONE, exit_with
from headway.cli.options import DEFAULT_URL, AsJson, Url, connect, print_json

if TYPE_CHECKING:
    from headway.model.scheduler import SchedulerStatus


def register(app: App) -> None:
    """Add the commands to `app`."""
    scheduler = App(name="scheduler", help="Start, stop and inspect the scheduler.")
    for command in (start, stop, status, concurrency, history):
        scheduler.command(command)
    reservations.register(scheduler)
    app.command(scheduler)


@exit_with
def start(*, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """Let queued Jobs start."""
    with connect(url) as client:
        _print_status(client.scheduler_start(), json)
    return EXIT_DONE


@exit_with
def stop(
    *,
    wait_s: Annotated[float, Parameter(help="Wait at most this long until nothing runs.")] = 0,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Start no more Jobs; running ones continue to their end."""
    with connect(url) as client:
        _print_status(client.scheduler_stop(wait_s), json)
    return EXIT_DONE


@exit_with
def status(*, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """Show the state of the scheduler."""
    with connect(url) as client:
        _print_status(client.scheduler_status(), json)
    return EXIT_DONE


@exit_with
def concurrency(
    number: Annotated[int, Parameter(help="How many Jobs may run at once.")],
    /,
    *,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Change how many Jobs may run at once; remembered across restarts."""
    with connect(url) as client:
        config = client.scheduler_config(concurrency=number)
    if json:
        print_json(config)
    else:
        from headway.cli.scheduler_view import config_view
        from headway.cli.table import write

        write(config_view(config))
    return EXIT_DONE


@exit_with
def history(
    span: Annotated[Literal["hour", "day", "week"], Parameter(help="hour, day or week.")] = "hour",
    /,
    *,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Show the queue length, what ended, and how long it took; quiet steps are left out."""
    with connect(url) as client:
        found = client.scheduler_history(span)
    if json:
        print_json(found)
    else:
        from headway.cli.scheduler_view import history_table
        from headway.cli.table import write

        write(history_table(found))
    return EXIT_DONE


def _print_status(found: "SchedulerStatus", json: bool) -> None:
    if json:
        print_json(found)
    else:
        from headway.cli.scheduler_view import scheduler_view
        from headway.cli.table import write

        write(scheduler_view(found))
