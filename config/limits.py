"""Limits on what clients may have open at once, from `[scheduler]`.

Part of the core, so plain synchronous code. Each check raises before anything is written.
"""

from dataclasses import dataclass

from headway.model.problem import Fault, Refusal
from storage import reservations, runs, scheduler
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Named like the settings that they come from."""

    max_queued: int = 1_000_000
    max_triggered: int = 32
    max_direct: int = 100
    max_reservations: int = 32
    max_reservation_s: float = 86_400.0

    def check_queued(self, tx: Transaction, more: int) -> None:
        """Raise `queue_full` if so many more Jobs do not fit into the queue."""
        self._check_queue(scheduler.queue_length(tx.connection) + more)

    def check_triggered(self, tx: Transaction) -> None:
        """Raise `queue_full` if one more legacy trigger may not start its program.

        Its Job never waits, and counts with those that do: else it would be a way past the queue.
        """
        running = runs.count_triggered(tx.connection)
        if running >= self.max_triggered:
            raise Refusal(
                "queue_full",
                f"{running} triggered programs run, as many as [scheduler] max_triggered allows:"
                " try again when one has ended, or queue it with POST /jobs",
            )
        self._check_queue(scheduler.queue_length(tx.connection) + running + 1)

    def check_direct(self, tx: Transaction) -> None:
        """Raise `queue_full` if one more direct run may not wait."""
        waiting = reservations.count_direct(tx.connection)
        if waiting >= self.max_direct:
            raise Refusal(
                "queue_full",
                f"{waiting} direct runs wait, as many as [scheduler] max_direct allows:"
                " try again when one has started, or queue it with POST /jobs",
            )

    def check_hold(self, tx: Transaction, ttl_s: float) -> None:
        """Raise `invalid` for a reservation that is too long, `rate_limited` for one too many."""
        if ttl_s > self.max_reservation_s:
            longest = f"at most {self.max_reservation_s:g} ([scheduler] max_reservation_s)"
            raise Refusal("invalid", "correct /ttl_s", (Fault("/ttl_s", longest),))
        held = reservations.count_holds(tx.connection)
        if held >= self.max_reservations:
            raise Refusal(
                "rate_limited",
                f"there are {held} reservations, as many as [scheduler] max_reservations allows:"
                " release one (DELETE /scheduler/reservations/ID) or all"
                " (DELETE /scheduler/reservations)",
            )

    def _check_queue(self, length: int) -> None:
        if length > self.max_queued:
            raise Refusal(
                "queue_full",
                f"the queue holds at most {self.max_queued} Jobs ([scheduler] max_queued):"
                " try again when some have run",
            )
