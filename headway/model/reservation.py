"""Reservation: a claim on the next free slot."""

from datetime import datetime
from typing import Literal

from headway.model.field import Model


class Reservation(Model):
    """A claim on the next free slot. `expires_at` counts from the moment the slot is held."""

    reservation_id: str
    kind: Literal["direct", "hold"]
    state: Literal["WAITING", "HELD", "ENDED"]
    run_id: str | None
    ttl_s: float | None
    created_at: datetime
    held_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None


class ReservationList(Model):
    reservations: list[Reservation]
