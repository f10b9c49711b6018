"""What the end of a run does to the database, and what it has left behind.

Part of the core, so plain synchronous code. What it ended as is decided in `verdict.py`.
"""

from actors import messages as m
from actors.actor import Message
from actors.rules.dispatch import Dispatch
from actors.rules.verdict import judge
from headway.model.job import JobStatus
from storage import collections, jobs, runs
from storage.transaction import Transaction


def finish(
    tx: Transaction, message: m.RunExited, dispatch: Dispatch, effects: list[Message]
) -> None:
    """The run has ended, and its Job with it; a run that was asked for again has not."""
    if message.refused_in not in (None, dispatch.life):
        return  # it may have begun since then
    job_id, stop_reason = runs.what_ends(tx, message.run_id)
    ended = judge(message.outcome, stop_reason)
    if job_id is not None and ended.progress is not None:
        jobs.write_progress(tx, job_id, ended.progress)
    finished = runs.finish_run(tx, message.run_id, ended)
    if finished is None:
        return
    if finished.job_id is not None:
        jobs.move(
            tx,
            finished.job_id,
            JobStatus.RUNNING,
            JobStatus(ended.status.value),
            reason=None if ended.error is None else ended.error.message,
            finished_at=finished.finished_at,
            duration_us=finished.duration_us,
        )
    if ended.collecting != "done":
        effects += dispatch.collect(collections.unfinished_of(tx.connection, message.run_id))


def note_collected(
    tx: Transaction, message: m.RunCollected, dispatch: Dispatch, effects: list[Message]
) -> None:
    """More is known of what it has left; the rest is asked for when that is on disk."""
    if collections.note_collection(
        tx,
        message.run_id,
        artifacts=message.artifacts,
        reason=message.reason,
        more=message.more,
    ):
        effects += dispatch.collect(collections.unfinished_of(tx.connection, message.run_id))
