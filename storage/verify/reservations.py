"""The invariants that the table of reservations shows."""

from collections.abc import Iterator

import apsw

from storage.verify.check import Checks


def reservations_end(connection: apsw.Connection) -> Iterator[str]:
    """A reservation has an end and a reason exactly if it has ended, and a start if it is held."""
    for name, state in connection.execute(
        "SELECT reservation_id, state FROM reservations"
        " WHERE (state = 'ENDED') <> (ended_at IS NOT NULL) OR (ended_at IS NULL) <>"
        " (end_reason IS NULL) OR (state = 'HELD' AND (held_at IS NULL OR expires_at IS NULL))"
    ):
        yield f"{name} is {state}, and its times do not agree"


CHECKS: Checks = {
    "ReservationOrder": (reservations_end,),
}
