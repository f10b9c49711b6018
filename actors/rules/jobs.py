"""Jobs in the rules: submit, change, cancel, retry, trigger; `run_at` and `expires_at` come due."""

import apsw

from actors import messages as m
from actors.rules.context import RuleContext
from actors.rules.idempotency import keep, replayed
from actors.rules.noun import Noun
from actors.rules.public import batch_body, job_body
from actors.rules.runs import claim, stop_run
from headway.model.job import TERMINAL, Job, JobStatus, NewJob
from headway.model.problem import Fault, Refusal
from storage import idempotency, jobs, runs
from storage.transaction import Transaction


def submit(tx: Transaction, context: RuleContext, message: m.SubmitJobs) -> m.Submission:
    """Queue the Jobs; with a key that was used, repeat the first answer."""
    if (answer := replayed(tx, message.key)) is not None:
        return answer
    context.setup.limits.check_queued(tx, len(message.jobs))
    if message.batch:
        return _submit_batch(tx, context, message)
    queued = tuple(
        jobs.insert_job(tx, context.new_id("job"), new, origin=message.origin)
        for new in message.jobs
    )
    if message.key is None:
        return m.Submission(jobs=queued, location=f"/jobs/{queued[0].job_id}")
    return keep(tx, context, message.key, queued[0])


def _submit_batch(tx: Transaction, context: RuleContext, message: m.SubmitJobs) -> m.Submission:
    new = [(context.new_id("job"), job) for job in message.jobs]
    first = jobs.insert_jobs(tx, new, origin=message.origin)
    body = batch_body([job_id for job_id, _ in new], first)
    if message.key is not None:
        idempotency.keep(tx, message.key, body, None)
    return m.Submission(jobs=(), response=body)


def cancel(tx: Transaction, context: RuleContext, message: m.CancelJob) -> Job:
    """End a QUEUED Job at once; ask for the end of a RUNNING one."""
    job = jobs.find_job(tx.connection, message.job_id)
    if job.status is JobStatus.QUEUED:
        jobs.cancel_queued(tx, job.job_id)
    elif job.status is JobStatus.RUNNING:
        run_id = runs.run_id_of(tx.connection, job.job_id)
        assert run_id is not None, f"{job.job_id} is RUNNING without a run"
        if stop_run(tx, context, run_id, "cancel"):
            tx.emit("job.cancel_requested", job_id=job.job_id, run_id=run_id, type=job.type)
    elif job.status is not JobStatus.CANCELLED:
        what = f"{job.job_id} is {job.status} and can no longer be cancelled"
        raise Refusal("wrong_state", what)
    return jobs.find_job(tx.connection, job.job_id)


def patch(tx: Transaction, _: RuleContext, message: m.PatchJob) -> Job:
    """Change a QUEUED Job."""
    job = _queued_job(tx, message.job_id, message.if_match, "changed")
    run_at, expires_at = message.patch.run_at, job.expires_at
    if run_at is not None and expires_at is not None and expires_at <= run_at:
        fault = Fault("/run_at", f"give a time before its expires_at, {expires_at}")
        raise Refusal("invalid", "correct /run_at", (fault,))
    return jobs.patch_job(tx, job, message.patch)


def delete(tx: Transaction, _: RuleContext, message: m.DeleteJob) -> Job:
    """Cancel a Job that must be QUEUED."""
    verb = "deleted; POST …/cancel ends a running one"
    _queued_job(tx, message.job_id, message.if_match, verb)
    jobs.cancel_queued(tx, message.job_id)
    return jobs.find_job(tx.connection, message.job_id)


def _queued_job(tx: Transaction, job_id: str, if_match: frozenset[str] | None, verb: str) -> Job:
    job = jobs.find_job(tx.connection, job_id)
    if if_match is not None and if_match.isdisjoint(("*", f'"{job.version}"')):
        raise Refusal(
            "precondition_failed",
            f'{job_id} is at version "{job.version}" now: GET it and decide again',
        )
    if job.status is not JobStatus.QUEUED:
        raise Refusal("wrong_state", f"{job_id} is {job.status}; only a QUEUED Job can be {verb}")
    return job


def retry(tx: Transaction, context: RuleContext, message: m.RetryJob) -> Job:
    """Queue a new Job like one that has ended."""
    job = jobs.find_job(tx.connection, message.job_id)
    if job.status not in TERMINAL:
        what = f"{job.job_id} is {job.status}: it can be retried when it has ended"
        raise Refusal("wrong_state", what)
    params = context.setup.job_type(job.type).accept(job.params)
    context.setup.limits.check_queued(tx, 1)
    again = NewJob(
        type=job.type,
        params=params,
        priority=job.priority,
        name=job.name,
        labels=job.labels,
        timeout_s=job.timeout_s,
    )
    job_id = context.new_id("job")
    return jobs.insert_job(tx, job_id, again, origin="retry", retry_of=job.job_id)


def trigger(tx: Transaction, context: RuleContext, message: m.TriggerJob) -> Job:
    """Start a Job at once, beside the slots."""
    if context.draining:
        raise Refusal("shutting_down", "the server is shutting down: try again shortly")
    context.setup.job_type(message.type)
    context.setup.limits.check_triggered(tx)
    new = NewJob.model_construct(type=message.type, params=message.params)
    job = jobs.insert_job(tx, context.new_id("job"), new, origin="legacy")
    claim(tx, context, job, "legacy")
    return jobs.find_job(tx.connection, job.job_id)


def note_progress(tx: Transaction, _: RuleContext, message: m.RunProgressed) -> None:
    """Store the last report of a running program."""
    jobs.write_progress(tx, message.job_id, message.progress)


def next_due(connection: apsw.Connection) -> int | None:
    """When (µs) the next `run_at` or `expires_at` comes."""
    return jobs.next_due(connection)


def fire(tx: Transaction, _: RuleContext) -> None:
    """Release what is due, skip what has expired: a Job that is both never starts."""
    jobs.promote_due(tx)
    jobs.skip_expired(tx)


NOUN = Noun(
    handlers={
        m.SubmitJobs: submit,
        m.CancelJob: cancel,
        m.PatchJob: patch,
        m.DeleteJob: delete,
        m.RetryJob: retry,
        m.TriggerJob: trigger,
        m.RunProgressed: note_progress,
    },
    created={Job: lambda job, types: (job_body(job, types), f"/jobs/{job.job_id}")},
    next_due=next_due,
    fire=fire,
)
