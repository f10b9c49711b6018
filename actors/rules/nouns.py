"""The nouns, in the order in which they recover and their timers fire."""

from actors.rules import idempotency, jobs, reservations, runs, scheduler

NOUNS = (
    scheduler.NOUN,
    jobs.NOUN,
    reservations.NOUN,
    runs.NOUN,
    idempotency.NOUN,
)
