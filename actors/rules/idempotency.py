"""Idempotency in the rules: a request with a key is carried out once, then answered the same.

How long answers are kept is decided in `storage/idempotency.py`.
"""

from pydantic_core import to_json

from actors import messages as m
from actors.rules.context import RuleContext
from actors.rules.noun import Noun
from actors.rules.public import JobTypes, job_body
from headway.model.job import Job
from headway.model.reservation import Reservation
from storage import idempotency
from storage.idempotency import Key
from storage.transaction import Transaction


def replayed(tx: Transaction, key: Key | None) -> m.Submission | None:
    """The first answer to this key; None without a key, and if it is new.

    Raises:
        Refusal: `idempotency_mismatch`, when the key was used for another request.
    """
    if key is None or (kept := idempotency.replay(tx, key)) is None:
        return None
    return m.Submission(jobs=(), response=kept[0], location=kept[1], replayed=True)


def keep(tx: Transaction, key: Key, made: Job | Reservation, types: JobTypes) -> m.Submission:
    """The answer to a request that created something, kept for the next one with this key."""
    if isinstance(made, Job):
        body, location = job_body(made, types), f"/jobs/{made.job_id}"
    else:
        body, location = to_json(made), f"/scheduler/reservations/{made.reservation_id}"
    idempotency.keep(tx, key, body, location)
    jobs = (made,) if isinstance(made, Job) else ()
    return m.Submission(jobs=jobs, response=body, location=location)


def once(tx: Transaction, context: RuleContext, message: m.Once) -> m.Submission:
    """Carry out a creation, unless its key has been used."""
    if (answer := replayed(tx, message.key)) is not None:
        return answer
    made = context.apply(tx, message.message)
    return keep(tx, message.key, made, context.setup.job_types)


NOUN = Noun(handlers={m.Once: once})
