"""A table of reservations."""

from collections.abc import Iterable

from rich.table import Table

from headway.cli.table import add_row, new_table, time_text
from headway.model.reservation import Reservation


def reservations_table(found: Iterable[Reservation]) -> Table:
    """One reservation per line, in their order."""
    table = new_table("RESERVATION", "KIND", "STATE", "SINCE", "UNTIL", fluid=1)
    for one in found:
        since, until = one.held_at or one.created_at, one.ended_at or one.expires_at
        moments = (time_text(since), "" if until is None else time_text(until))
        add_row(table, one.reservation_id, one.kind, one.state, *moments)
    return table
