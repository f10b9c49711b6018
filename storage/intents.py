"""Intents in SQL: rows of runs that are committed before any process of theirs exists.

Invariant: an intent that is not yet fulfilled, or whose fulfilment nothing shows, is taken up again
under the same run id. How runs end is in `runs.py`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import apsw
from pydantic_core import from_json, to_json

from headway.model.run import Lane, StopReason
from storage.transaction import Transaction

NOT_BEGUN = ""
"""Stands for the boot of a run that an orderly end has left before it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIntent:
    """A run to be: all that the executor needs to start it, or to find it again.

    `adopt` is kept, not read from the configuration again: it shows what a crash left behind.
    `began_us`: µs after boot at which its program began, if an earlier life has seen that.
    `seal`: what the exit record carries of a program that is started now; only in memory.
    `digests`: of every seal that a shim of this run may have been given.
    `unbegun`: it is known that its program was never started, regardless of its directory.
    """

    run_id: str
    job_id: str | None
    type: str
    lane: Lane
    params: dict[str, Any]
    timeout_s: float
    boot_id: str
    adopt: bool = True
    stop_reason: StopReason | None = None
    began_us: int | None = None
    unbegun: bool = False
    seal: str = field(default="", repr=False)
    digests: tuple[str, ...] = ()


def digest_of(seal: str) -> str:
    """The digest of a seal, as stored: a reader of the database cannot forge an exit record."""
    return hashlib.sha256(seal.encode()).hexdigest()


def insert_run(
    tx: Transaction, intent: RunIntent, *, server_id: str, argv: list[str], eligible_at: int
) -> None:
    """Commit the intent. `argv` is for people, with secret values masked."""
    tx.execute(
        "INSERT INTO job_runs (run_id, job_id, type, lane, status, params_snapshot, argv,"
        " timeout_s, boot_id, server_id, eligible_at, started_at, adopt, seals)"
        " VALUES (?, ?, ?, ?, 'RUNNING', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            intent.run_id,
            intent.job_id,
            intent.type,
            intent.lane,
            to_json(intent.params).decode(),
            to_json(argv).decode(),
            intent.timeout_s,
            intent.boot_id,
            server_id,
            eligible_at,
            tx.now,
            intent.adopt,
            ",".join(intent.digests),
        ),
    )
    tx.emit(
        "run.started",
        job_id=intent.job_id,
        run_id=intent.run_id,
        type=intent.type,
        lane=intent.lane,
        waited_s=(tx.now - eligible_at) / 1e6,
    )


def running_intents(connection: apsw.Connection) -> list[tuple[RunIntent, str]]:
    """Every run whose row is RUNNING, with the life of the server that claimed it."""
    rows = connection.execute(
        "SELECT run_id, job_id, type, lane, params_snapshot, timeout_s, boot_id, adopt,"
        " stop_reason, began_us, seals, server_id FROM job_runs INDEXED BY job_runs_running"
        " WHERE status = 'RUNNING' ORDER BY started_at, run_id"
    )
    return [(_intent_from_row(row), server_id) for *row, server_id in rows]


def _intent_from_row(row: list[Any]) -> RunIntent:
    run_id, job_id, type_, lane, params, timeout_s, boot_id, adopt, stop_reason, *begun = row
    began_us, seals = begun
    return RunIntent(
        run_id=run_id,
        job_id=job_id,
        type=type_,
        lane=lane,
        params=from_json(params),
        timeout_s=timeout_s,
        boot_id=boot_id,
        adopt=bool(adopt),
        stop_reason=stop_reason,
        began_us=began_us,
        digests=tuple(seals.split(",")) if seals else (),
    )


def leave(tx: Transaction, run_ids: Iterable[str]) -> None:
    """Note that these runs have not begun, and that only the next server starts them."""
    tx.connection.executemany(
        "UPDATE job_runs SET boot_id = ?, pid = NULL, began_us = NULL"
        " WHERE run_id = ? AND status = 'RUNNING'",
        [(NOT_BEGUN, run_id) for run_id in run_ids],
    )


def take_up(tx: Transaction, run_id: str, boot_id: str) -> None:
    """Note that a run which was left is started from now on, in this boot of the host."""
    tx.execute(
        "UPDATE job_runs SET boot_id = ? WHERE run_id = ? AND boot_id = ?",
        (boot_id, run_id, NOT_BEGUN),
    )


def seal_anew(tx: Transaction, intent: RunIntent, seal: str) -> RunIntent:
    """The intent with one more seal, for a program that this life may have to start."""
    digest = digest_of(seal)
    row = tx.execute(
        "UPDATE job_runs SET seals = seals || iif(seals = '', '', ',') || ?"
        " WHERE run_id = ? AND status = 'RUNNING' AND adopt = 1 RETURNING 1",
        (digest, intent.run_id),
    ).fetchone()
    if row is None:
        return intent
    return replace(intent, seal=seal, digests=(*intent.digests, digest))
