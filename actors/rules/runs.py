"""Runs in the rules: claimed, ensured, stopped, ended, and what they have left is collected.

Invariant: the intent of a run is in the transaction whose commit comes before any process of it.
What a run ended as is decided in `verdict.py`.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypedDict

from actors import messages as m
from actors.rules.context import RuleContext
from actors.rules.noun import Noun
from actors.rules.verdict import judge
from config.job_type import JobType
from config.run_limits import KeepLimits
from headway.model.field import to_us
from headway.model.job import Job, JobStatus
from headway.model.run import Lane, StopReason
from storage import collections, intents, jobs, runs
from storage.collections import Unfinished
from storage.intents import RunIntent, digest_of
from storage.reservations import WaitingDirectRun
from storage.transaction import Transaction


class Sealed(TypedDict):
    """What a claimed run's exit record is known by: see `shim.py`."""

    seal: str
    digests: tuple[str, ...]


# ---- the beginning -------------------------------------------------------------------------------


def claim(tx: Transaction, context: RuleContext, job: Job, lane: Lane) -> str:
    """QUEUED → RUNNING, with the intent of its one run. Returns the type."""
    jobs.move(tx, job.job_id, JobStatus.QUEUED, JobStatus.RUNNING)
    job_type = context.setup.job_types[job.type]
    intent = RunIntent(
        run_id=context.new_id("run"),
        job_id=job.job_id,
        type=job.type,
        lane=lane,
        params=job.params,
        timeout_s=job.timeout_s or job_type.timeout_s,
        boot_id=context.identity.boot_id,
        adopt=job_type.adopt,
        **_seal(context, job_type),
    )
    _intend(tx, context, intent, to_us(max(job.created_at, job.run_at or job.created_at)))
    return job.type


def start_direct_run(
    tx: Transaction, context: RuleContext, direct: WaitingDirectRun, eligible_at: int
) -> str:
    """The intent of a direct run, whose claim (of `eligible_at`, µs) was served. The type."""
    job_type = context.setup.job_types[direct.type]
    intent = RunIntent(
        run_id=direct.run_id,
        job_id=None,
        type=direct.type,
        lane="direct",
        params=direct.params,
        timeout_s=job_type.timeout_s,
        boot_id=context.identity.boot_id,
        adopt=job_type.adopt,
        **_seal(context, job_type),
    )
    _intend(tx, context, intent, eligible_at)
    return direct.type


def _seal(context: RuleContext, job_type: JobType) -> Sealed:
    seal = context.new_id("seal") if job_type.adopt else ""
    return {"seal": seal, "digests": (digest_of(seal),) if seal else ()}


def _intend(tx: Transaction, context: RuleContext, intent: RunIntent, eligible_at: int) -> None:
    job_type = context.setup.job_types[intent.type]
    intents.insert_run(
        tx,
        intent,
        server_id=context.identity.server_id,
        argv=job_type.display_argv(intent.params, intent.run_id, intent.job_id),
        eligible_at=min(eligible_at, tx.now),
    )
    _ensure(context, replace(intent, unbegun=True))


def _ensure(context: RuleContext, intent: RunIntent) -> None:
    """Send the run to the executor, with its type as it is configured now."""
    job_type = context.setup.job_types.get(intent.type)
    context.effects.append(m.EnsureRun(intent=intent, job_type=job_type, life=context.life))


def note_process(tx: Transaction, _: RuleContext, message: m.RunProcess) -> None:
    """Store the process of a run that lasts."""
    runs.note_process(tx, message.run_id, message.pid, message.began_us)


# ---- the end -------------------------------------------------------------------------------------


def stop_run(tx: Transaction, context: RuleContext, run_id: str, reason: StopReason) -> bool:
    """Ask for the end of a run. False: it has ended, or was asked already."""
    if not runs.request_stop(tx, run_id, reason):
        return False
    context.effects.append(m.StopRun(run_id=run_id, reason=reason))
    return True


def stop_beyond_limit(tx: Transaction, context: RuleContext, message: m.RunLimitExceeded) -> None:
    """End a run that exceeded its time or its output."""
    stop_run(tx, context, message.run_id, message.reason)


def stop_all(tx: Transaction, context: RuleContext, message: m.StopRuns) -> None:
    """End every running program; those that the next server starts or adopts may go on."""
    for intent, _ in intents.running_intents(tx.connection):
        if (intent.adopt and not message.adoptable) or intent.run_id in context.left:
            continue
        runs.request_stop(tx, intent.run_id, "shutdown")
        context.effects.append(
            m.StopRun(run_id=intent.run_id, reason="shutdown", immediately=message.immediately)
        )


def leave(tx: Transaction, context: RuleContext, message: m.LeaveRuns) -> None:
    """Leave runs that have not begun to the next server."""
    context.left |= message.run_ids
    intents.leave(tx, message.run_ids)


def finish(tx: Transaction, context: RuleContext, message: m.RunExited) -> None:
    """The run has ended, and its Job with it; a run that was asked for again has not."""
    if message.refused_in not in (None, context.life):
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
        _collect(context, collections.unfinished_of(tx.connection, message.run_id))


def note_collected(tx: Transaction, context: RuleContext, message: m.RunCollected) -> None:
    """Store what is known of the artifacts; what is missing is asked for after the commit."""
    if collections.note_collection(
        tx,
        message.run_id,
        artifacts=message.artifacts,
        reason=message.reason,
        more=message.more,
    ):
        _collect(context, collections.unfinished_of(tx.connection, message.run_id))


def _collect(context: RuleContext, unfinished: Iterable[Unfinished]) -> None:
    """Send runs that have ended, and whose artifacts are still to come, to the executor."""
    for each in unfinished:
        job_type = context.setup.job_types.get(each.type)
        limits = KeepLimits() if job_type is None else job_type.keep_limits
        context.effects.append(m.CollectRun(unfinished=each, limits=limits))


# ---- a new life ----------------------------------------------------------------------------------


def recover(tx: Transaction, context: RuleContext) -> None:
    """Settle every RUNNING run, and go on with collections. Clients of direct runs are gone."""
    for intent, server_id in intents.running_intents(tx.connection):
        if intent.lane == "direct" and server_id != context.identity.server_id:
            runs.request_stop(tx, intent.run_id, "cancel")
    if context.draining:
        context.effects.append(m.HoldStarts())
    for intent, _ in intents.running_intents(tx.connection):
        sealed = intents.seal_anew(tx, _take_up(tx, context, intent), context.new_id("seal"))
        _ensure(context, sealed)
    _collect(context, collections.unfinished(tx.connection))


def _take_up(tx: Transaction, context: RuleContext, intent: RunIntent) -> RunIntent:
    """The intent as of this boot, if an earlier server has left it because it had not begun."""
    if intent.boot_id != intents.NOT_BEGUN:
        return intent
    boot_id = context.identity.boot_id
    if not context.draining:
        intents.take_up(tx, intent.run_id, boot_id)
    return replace(intent, boot_id=boot_id, unbegun=True)


NOUN = Noun(
    handlers={
        m.RunExited: finish,
        m.RunCollected: note_collected,
        m.RunProcess: note_process,
        m.RunLimitExceeded: stop_beyond_limit,
        m.StopRuns: stop_all,
        m.LeaveRuns: leave,
    },
    recover=recover,
)
