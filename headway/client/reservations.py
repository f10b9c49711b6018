"""Reservations of the next free slot."""

from headway.client.blocking import BlockingOperations, blocking
from headway.client.operations import Operations
from headway.client.session import segment
from headway.model.reservation import Reservation, ReservationList

PATH = "/scheduler/reservations"


class ReservationOperations(Operations):
    """Asynchronous operations on reservations."""

    async def reserve(self, ttl_s: float, *, idempotency_key: str | None = None) -> Reservation:
        """Reserve the next free slot; `ttl_s` counts from the moment it is held.

        With a key the request is repeated when the connection breaks, and still makes one.
        """
        return await self._create(Reservation, PATH, {"ttl_s": ttl_s}, idempotency_key)

    async def reservations(self) -> list[Reservation]:
        """Reservations that wait or are held, in their order."""
        return (await self._session.ask(ReservationList, "GET", PATH)).reservations

    async def get_reservation(self, reservation_id: str) -> Reservation:
        """One reservation, also one that has ended."""
        return await self._session.ask(Reservation, "GET", f"{PATH}/{segment(reservation_id)}")

    async def release(self, reservation_id: str) -> Reservation:
        """Release a reservation."""
        path = f"{PATH}/{segment(reservation_id)}"
        return await self._session.ask(Reservation, "DELETE", path, repeatable=True)

    async def release_all(self) -> list[Reservation]:
        """Release every open reservation, and return them; direct runs keep theirs."""
        released = await self._session.ask(ReservationList, "DELETE", PATH, repeatable=True)
        return released.reservations


class BlockingReservationOperations(BlockingOperations):
    """The same, blocking."""

    reserve = blocking(ReservationOperations.reserve)
    reservations = blocking(ReservationOperations.reservations)
    get_reservation = blocking(ReservationOperations.get_reservation)
    release = blocking(ReservationOperations.release)
    release_all = blocking(ReservationOperations.release_all)
