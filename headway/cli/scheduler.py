"""`headway scheduler …`: start, stop and look at the scheduler of a server."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from headway.cli.arguments import UsageError
from headway.cli.exit_status import EXIT_DONE, exit_with
from headway.cli.options import DEFAULT_URL, AsJson, Url, connect, print_json, print_view

if TYPE_CHECKING:
    from headway.model.reservation import Reservation


def register(app: App) -> None:
    """Add the verbs to `app`."""
    scheduler = App(name="scheduler", help="Start, stop and look at the scheduler.")
    for verb in (start, stop, status, concurrency, history, reservations, release):
        scheduler.command(verb)
    app.command(scheduler)


@exit_with
def start(*, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """Let queued Jobs start."""
    with connect(url) as client:
        print_view(client.scheduler_start(), json)
    return EXIT_DONE


@exit_with
def stop(
    *,
    wait_s: Annotated[float, Parameter(help="Wait at most so long until nothing runs.")] = 0,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Start nothing new; what runs goes on to its end."""
    with connect(url) as client:
        print_view(client.scheduler_stop(wait_s), json)
    return EXIT_DONE


@exit_with
def status(*, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """Show what the scheduler does."""
    with connect(url) as client:
        print_view(client.scheduler_status(), json)
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
        print_view(client.scheduler_config(concurrency=number), json)
    return EXIT_DONE


@exit_with
def history(
    span: Annotated[Literal["hour", "day", "week"], Parameter(help="hour, day or week.")] = "hour",
    /,
    *,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Show how long the queue was, what ended, and how long it took; quiet steps are left out."""
    with connect(url) as client:
        found = client.scheduler_history(span)
    if json:
        print_json(found)
    else:
        from headway.cli.table import history_table, write

        write(history_table(found))
    return EXIT_DONE


@exit_with
def reservations(*, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """List what holds or claims the next slots: reservations and direct runs."""
    with connect(url) as client:
        _print_reservations(client.reservations(), json)
    return EXIT_DONE


@exit_with
def release(
    reservation_id: Annotated[str | None, Parameter(help="Like rsv-0193….")] = None,
    /,
    *,
    every: Annotated[
        bool, Parameter(name="--all", negative="", help="Every one; direct runs keep theirs.")
    ] = False,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Give a reservation back, or all at once."""
    if (reservation_id is None) != every:
        raise UsageError("give the id of one reservation, or --all")
    with connect(url) as client:
        released = (
            client.release_all() if reservation_id is None else [client.release(reservation_id)]
        )
    _print_reservations(released, json)
    return EXIT_DONE


def _print_reservations(found: "list[Reservation]", json: bool) -> None:
    if json:
        print_json(found)
    else:
        from headway.cli.table import reservations_table, write

        write(reservations_table(found))
