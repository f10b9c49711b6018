"""`headway scheduler reservations` and `release`: what holds the next slots."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from headway.cli.arguments import UsageError
from headway.cli.exit_status import EXIT_DONE, exit_with
from headway.cli.options import DEFAULT_URL, AsJson, Url, connect, print_json

if TYPE_CHECKING:
    from headway.model.reservation import Reservation


def register(scheduler: App) -> None:
    """Add the commands to `headway scheduler`."""
    scheduler.command(reservations)
    scheduler.command(release)


@exit_with
def reservations(*, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """List what holds or reserves the next slots: reservations and direct runs."""
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
    """Release a reservation, or all at once."""
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
        from headway.cli.reservation_view import reservations_table
        from headway.cli.table import write

        write(reservations_table(found))
