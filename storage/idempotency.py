"""Answers kept for `Idempotency-Key`, so that a client may safely ask again.

The same key with the same request gets the first answer; with another request it is refused. The
header's meaning follows draft-ietf-httpapi-idempotency-key-header.
"""

from dataclasses import dataclass

from headway.model.problem import Refusal
from storage.transaction import Transaction

KEPT_US = 24 * 3600 * 1_000_000
PRUNED_PER_WRITE_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The client's key, and the SHA-256 of the method, path and body that it stands for."""

    key: str
    request: bytes


def replay(tx: Transaction, key: Key) -> tuple[bytes, str | None] | None:
    """(body, location) of the first answer, or None if the key is new.

    Raises:
        Refusal: `idempotency_mismatch`, when the key was used for another request.
    """
    row = tx.execute(
        "SELECT request, response, location FROM idempotency WHERE key = ? AND created_at > ?",
        (key.key, tx.now - KEPT_US),
    ).fetchone()
    if row is None:
        return None
    if row[0] != key.request:
        raise Refusal(
            "idempotency_mismatch",
            "this Idempotency-Key was used within the last 24 hours for a different request: "
            "send the same request again, or a new key",
        )
    return row[1], row[2]


def keep(tx: Transaction, key: Key, response: bytes, location: str | None) -> None:
    """Keep the answer for 24 hours, and delete a few that are older."""
    tx.execute(
        "DELETE FROM idempotency WHERE key IN"
        " (SELECT key FROM idempotency WHERE created_at <= ? ORDER BY created_at LIMIT ?)",
        (tx.now - KEPT_US, PRUNED_PER_WRITE_MAX),
    )
    tx.execute(
        "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)",
        (key.key, key.request, response, location, tx.now),
    )
