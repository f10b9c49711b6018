"""Idempotency in the rules: a request with a key is carried out once, then answered the same.

How long answers are kept is decided in `storage/idempotency.py`.
"""

from actors import messages as m
from actors.rules.context import RuleContext
from actors.rules.noun import Noun
from headway.model.job import Job
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


def keep(tx: Transaction, context: RuleContext, key: Key, made: object) -> m.Submission:
    """The answer to a request that created something, kept for the next one with this key.

    How it is shown is decided by its noun: see `Noun.created`.
    """
    body, location = context.created[type(made)](made, context.setup.job_types)
    idempotency.keep(tx, key, body, location)
    jobs = (made,) if isinstance(made, Job) else ()
    return m.Submission(jobs=jobs, response=body, location=location)


def once(tx: Transaction, context: RuleContext, message: m.Once) -> m.Submission:
    """Carry out a creation, unless its key has been used."""
    if (answer := replayed(tx, message.key)) is not None:
        return answer
    made = context.apply(tx, message.message)
    return keep(tx, context, message.key, made)


NOUN = Noun(handlers={m.Once: once})
