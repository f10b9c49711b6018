"""Reservation: the next free slot, held for a direct run or an operator."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from headway.model.field import Model


class Reservation(Model):
    """A reservation of the next free slot. `expires_at` counts from when the slot is held."""

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


class ReservationRequest(Model):
    """How long the slot is held, counted from when it is free; the operator sets the most."""

    ttl_s: Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]


class ReservationList(Model):
    """Reservations that wait or are held, in their order."""

    reservations: list[Reservation]
