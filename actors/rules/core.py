"""What a message does to the database: plain synchronous code, without time, threads or channels.

`Core.decide` takes a batch of messages through one transaction: each in a savepoint of its own,
then whatever may start now is claimed, then one commit. What must happen outside (start a program,
end one) comes back as messages for the executor and is sent after the commit: intent before act.

What may start, and in which order, is in `dispatch.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import apsw
import outcome

from actors import messages as m
from actors.actor import Message
from actors.identity import Identity
from actors.rules import run_end
from actors.rules.dispatch import Dispatch
from actors.rules.idempotency import keep, replayed
from actors.rules.public import batch_body
from config.setup import Setup
from headway.model.job import TERMINAL, Job, JobStatus, NewJob
from headway.model.problem import Fault, Refusal
from headway.model.reservation import Reservation
from headway.model.run import StopReason
from headway.model.scheduler import SchedulerConfig
from storage import collections, idempotency, intents, jobs, reservations, runs, scheduler
from storage.errors import StorageFailed
from storage.events import Event
from storage.intents import RunIntent
from storage.transaction import Transaction, write_transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one committed batch leaves to do: answer, act, publish, and wake at `next_due` (µs)."""

    answers: list[outcome.Outcome[Any]]
    effects: list[Message]
    events: list[Event]
    next_due: int | None


class Core:
    """The rules. Holds what was configured; everything else it reads from the transaction.

    `setup`: as of the last commit, for readers on other threads too.
    """

    def __init__(
        self,
        *,
        setup: Setup,
        identity: Identity,
        new_id: Callable[[str], str],
        shortage: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        self.setup = setup
        self._identity = identity
        self._new_id = new_id
        self.left = frozenset[str]()
        """Runs that have not begun, and do not in this life of the server."""
        self._dispatch = Dispatch(setup=setup, identity=identity, new_id=new_id, shortage=shortage)

    @property
    def host_reason(self) -> str | None:
        """Why the host lets nothing start; None: it does."""
        return self._dispatch.host_reason

    @property
    def lacks_space(self) -> bool:
        """Whether nothing starts until somebody has looked at the disk again."""
        return self._dispatch.short is not None

    @property
    def waiting(self) -> frozenset[str]:
        """Runs that are claimed, and cannot begin yet."""
        return self._dispatch.waiting

    def recover(self, connection: apsw.Connection, now: int) -> Decision:
        """Begin a life: direct clients of earlier ones are gone, every RUNNING run is settled."""
        effects: list[Message] = []
        self._dispatch.setup = self.setup  # a commit that failed has replaced nothing
        self._dispatch.life += 1
        self._dispatch.note_blocked(None, frozenset())  # the executor finds out anew
        with write_transaction(connection, now) as tx:
            config = self._setup.in_force(tx.connection)
            tx.emit(
                "server.started",
                server_id=self._identity.server_id,
                concurrency=config.concurrency,
                types=config.types,
            )
            reservations.end_direct(
                tx, "the server restarted", except_server_id=self._identity.server_id
            )
            for intent, server_id in intents.running_intents(connection):
                if intent.lane == "direct" and server_id != self._identity.server_id:
                    runs.request_stop(tx, intent.run_id, "cancel")
            if self._dispatch.draining:
                effects.append(m.HoldStarts())
            for intent, _ in intents.running_intents(connection):
                sealed = intents.seal_anew(tx, self._take_up(tx, intent), self._new_id("seal"))
                effects.append(self._dispatch.ensure(sealed))
            effects += self._dispatch.collect(collections.unfinished(connection))
            self._dispatch.dispatch(tx, effects)
            next_due = self._dispatch.next_due(tx)
        return Decision(answers=[], effects=effects, events=tx.events, next_due=next_due)

    def _take_up(self, tx: Transaction, intent: RunIntent) -> RunIntent:
        """The intent as of this boot, if an earlier server has left it because it had not begun."""
        if intent.boot_id != intents.NOT_BEGUN:
            return intent
        if not self._dispatch.draining:
            intents.take_up(tx, intent.run_id, self._identity.boot_id)
        return replace(intent, boot_id=self._identity.boot_id, unbegun=True)

    def leave(self, connection: apsw.Connection, now: int, run_ids: frozenset[str]) -> Decision:
        """Leave runs that have not begun to the next server, whatever becomes of the host."""
        self.left |= run_ids
        with write_transaction(connection, now) as tx:
            intents.leave(tx, run_ids)
            next_due = self._dispatch.next_due(tx)
        return Decision(answers=[], effects=[], events=tx.events, next_due=next_due)

    def decide(
        self, connection: apsw.Connection, now: int, batch: list[Message], *, dispatch: bool = True
    ) -> Decision:
        """Apply a batch in one transaction; without `dispatch` nothing starts.

        Raises:
            apsw.FullError: the disk is full; nothing of the batch happened.
            apsw.Error: anything else that SQLite reports; the outcome of a commit is unknown.
        """
        answers: list[outcome.Outcome[Any]] = []
        effects: list[Message] = []
        self._dispatch.setup = self.setup  # a commit that failed has replaced nothing
        with write_transaction(connection, now) as tx:
            for message in batch:
                mark = len(effects)
                try:
                    with tx.savepoint():
                        answers.append(outcome.Value(self._apply(tx, message, effects)))
                except Refusal as refusal:
                    del effects[mark:]
                    answers.append(outcome.Error(refusal))
            if dispatch:
                self._dispatch.dispatch(tx, effects)
            next_due = self._dispatch.next_due(tx)
        self.setup = self._dispatch.setup
        return Decision(answers=answers, effects=effects, events=tx.events, next_due=next_due)

    # ---- messages ----------------------------------------------------------------------------

    def _apply(self, tx: Transaction, message: Message, effects: list[Message]) -> Any:
        match message:
            case m.SubmitJobs():
                return self._submit(tx, message)
            case m.RunExited():
                return run_end.finish(tx, message, self._dispatch, effects)
            case m.RunCollected():
                return run_end.note_collected(tx, message, self._dispatch, effects)
            case m.RunProcess(run_id=run_id, pid=pid, began_us=began_us):
                return runs.note_process(tx, run_id, pid, began_us)
            case m.RunProgressed(job_id=job_id, progress=progress):
                return jobs.write_progress(tx, job_id, progress)
            case m.RunLimitExceeded(run_id=run_id, reason=reason):
                return self._stop_run(tx, run_id, reason, effects)
            case m.TimerFired() | m.Probe():
                return None
            case m.StartsBlocked(reason=reason, run_ids=run_ids):
                return self._dispatch.note_blocked(reason, run_ids)
            case m.StorageBroke(why=why):
                raise StorageFailed(why)
            case m.CancelJob(job_id=job_id):
                return self._cancel(tx, job_id, effects)
            case m.PatchJob():
                return self._patch(tx, message)
            case m.DeleteJob(job_id=job_id, if_match=if_match):
                return self._delete(tx, job_id, if_match)
            case m.Once():
                return self._once(tx, message, effects)
            case m.RetryJob(job_id=job_id):
                return self._retry(tx, job_id)
            case m.TriggerJob():
                return self._trigger(tx, message, effects)
            case m.StartDirect():
                return self._start_direct(tx, message)
            case m.AbandonDirect(ticket=ticket):
                if not reservations.end(tx, ticket.reservation_id, "the client went away"):
                    self._stop_run(tx, ticket.run_id, "cancel", effects)
                return None
            case m.Reserve(ttl_s=ttl_s):
                return self._reserve(tx, ttl_s, effects)
            case m.ReleaseReservation(reservation_id=reservation_id):
                return self._release(tx, reservation_id)
            case m.ReleaseReservations():
                return reservations.end_holds(tx, "released")
            case m.StartScheduler():
                return scheduler.set_running(tx, True)
            case m.StopScheduler():
                return scheduler.set_running(tx, False)
            case m.ConfigureScheduler():
                return self._configure(tx, message)
            case m.ReplaceSetup():
                return self._replace_setup(tx, message)
            case m.Drain():
                self._dispatch.draining = True
                return reservations.end_direct(tx, "the server is shutting down")
            case m.StopRuns():
                return self._stop_all(tx, message, effects)
            case _:
                raise AssertionError(f"the scheduler does not understand {message!r}")

    def _once(self, tx: Transaction, message: m.Once, effects: list[Message]) -> m.Submission:
        if (answer := replayed(tx, message.key)) is not None:
            return answer
        made = self._apply(tx, message.message, effects)
        return keep(tx, message.key, made, self._setup.job_types)

    def _submit(self, tx: Transaction, message: m.SubmitJobs) -> m.Submission:
        if (answer := replayed(tx, message.key)) is not None:
            return answer
        self._setup.limits.check_queued(tx, len(message.jobs))
        if message.batch:
            return self._submit_batch(tx, message)
        queued = tuple(
            jobs.insert_job(tx, self._new_id("job"), new, origin=message.origin)
            for new in message.jobs
        )
        if message.key is None:
            return m.Submission(jobs=queued, location=f"/jobs/{queued[0].job_id}")
        return keep(tx, message.key, queued[0], self._setup.job_types)

    def _submit_batch(self, tx: Transaction, message: m.SubmitJobs) -> m.Submission:
        new = [(self._new_id("job"), job) for job in message.jobs]
        first = jobs.insert_jobs(tx, new, origin=message.origin)
        body = batch_body([job_id for job_id, _ in new], first)
        if message.key is not None:
            idempotency.keep(tx, message.key, body, None)
        return m.Submission(jobs=(), response=body)

    def _cancel(self, tx: Transaction, job_id: str, effects: list[Message]) -> Job:
        job = jobs.find_job(tx.connection, job_id)
        if job.status is JobStatus.QUEUED:
            jobs.cancel_queued(tx, job_id)
        elif job.status is JobStatus.RUNNING:
            run_id = tx.execute("SELECT run_id FROM job_runs WHERE job_id = ?", (job_id,)).get
            if self._stop_run(tx, run_id, "cancel", effects):
                tx.emit("job.cancel_requested", job_id=job_id, run_id=run_id, type=job.type)
        elif job.status is not JobStatus.CANCELLED:
            raise Refusal("wrong_state", f"{job_id} is {job.status} and can no longer be cancelled")
        return jobs.find_job(tx.connection, job_id)

    def _patch(self, tx: Transaction, message: m.PatchJob) -> Job:
        job = self._queued_job(tx, message.job_id, message.if_match, "changed")
        run_at, expires_at = message.patch.run_at, job.expires_at
        if run_at is not None and expires_at is not None and expires_at <= run_at:
            fault = Fault("/run_at", f"give a time before its expires_at, {expires_at}")
            raise Refusal("invalid", "correct /run_at", (fault,))
        return jobs.patch_job(tx, job, message.patch)

    def _delete(self, tx: Transaction, job_id: str, if_match: frozenset[str] | None) -> Job:
        self._queued_job(tx, job_id, if_match, "deleted; POST …/cancel ends a running one")
        jobs.cancel_queued(tx, job_id)
        return jobs.find_job(tx.connection, job_id)

    def _queued_job(
        self, tx: Transaction, job_id: str, if_match: frozenset[str] | None, verb: str
    ) -> Job:
        job = jobs.find_job(tx.connection, job_id)
        if if_match is not None and if_match.isdisjoint(("*", f'"{job.version}"')):
            raise Refusal(
                "precondition_failed",
                f'{job_id} is at version "{job.version}" now: GET it and decide again',
            )
        if job.status is not JobStatus.QUEUED:
            raise Refusal(
                "wrong_state", f"{job_id} is {job.status}; only a QUEUED Job can be {verb}"
            )
        return job

    def _retry(self, tx: Transaction, job_id: str) -> Job:
        job = jobs.find_job(tx.connection, job_id)
        if job.status not in TERMINAL:
            raise Refusal(
                "wrong_state", f"{job_id} is {job.status}: it can be retried when it has ended"
            )
        params = self._setup.job_type(job.type).accept(job.params)
        self._setup.limits.check_queued(tx, 1)
        again = NewJob(
            type=job.type,
            params=params,
            priority=job.priority,
            name=job.name,
            labels=job.labels,
            timeout_s=job.timeout_s,
        )
        return jobs.insert_job(tx, self._new_id("job"), again, origin="retry", retry_of=job_id)

    def _trigger(self, tx: Transaction, message: m.TriggerJob, effects: list[Message]) -> Job:
        if self._dispatch.draining:
            raise Refusal("shutting_down", "the server is shutting down: try again shortly")
        self._setup.job_type(message.type)
        self._setup.limits.check_triggered(tx)
        new = NewJob.model_construct(type=message.type, params=message.params)
        job = jobs.insert_job(tx, self._new_id("job"), new, origin="legacy")
        self._dispatch.claim(tx, job, "legacy", effects)
        return jobs.find_job(tx.connection, job.job_id)

    def _start_direct(self, tx: Transaction, message: m.StartDirect) -> m.DirectTicket:
        if self._dispatch.draining:
            raise Refusal("shutting_down", "the server is shutting down: try again shortly")
        self._setup.job_type(message.type)
        self._setup.limits.check_direct(tx)
        ticket = m.DirectTicket(reservation_id=self._new_id("rsv"), run_id=self._new_id("run"))
        reservations.insert_direct(
            tx,
            ticket.reservation_id,
            run_id=ticket.run_id,
            type=message.type,
            params=message.params,
            server_id=self._identity.server_id,
        )
        return ticket

    def _reserve(self, tx: Transaction, ttl_s: float, effects: list[Message]) -> Reservation:
        self._setup.limits.check_hold(tx, ttl_s)
        reservation_id = self._new_id("rsv")
        reservations.insert_hold(
            tx, reservation_id, ttl_s=ttl_s, server_id=self._identity.server_id
        )
        # So that the answer says HELD if the slot is free already.
        self._dispatch.dispatch(tx, effects)
        return reservations.find_reservation(tx.connection, reservation_id)

    def _release(self, tx: Transaction, reservation_id: str) -> Reservation:
        found = reservations.find_reservation(tx.connection, reservation_id)
        if found.kind == "direct":
            raise Refusal(
                "wrong_state", f"{reservation_id} belongs to a direct run and ends with its client"
            )
        reservations.end(tx, reservation_id, "released")
        return reservations.find_reservation(tx.connection, reservation_id)

    def _configure(self, tx: Transaction, message: m.ConfigureScheduler) -> SchedulerConfig:
        if message.set_concurrency:
            scheduler.override_concurrency(tx, message.concurrency)
        for type_name, limit in message.types.items():
            scheduler.override_type_limit(tx, type_name, limit)
        config = self._setup.in_force(tx.connection)
        tx.emit("scheduler.configured", concurrency=config.concurrency, types=config.types)
        return config

    def _replace_setup(self, tx: Transaction, message: m.ReplaceSetup) -> SchedulerConfig:
        self._dispatch.setup = message.setup
        config = self._setup.in_force(tx.connection)
        tx.emit(
            "server.reloaded",
            concurrency=config.concurrency,
            types=config.types,
            changed=message.changed,
        )
        for reservation_id, type_name, _ in reservations.waiting_claims(tx.connection):
            if type_name is not None and type_name not in self._setup.job_types:
                reservations.end(tx, reservation_id, f"{type_name} is no longer configured")
        return config

    @property
    def _setup(self) -> Setup:
        """As the message that is being applied sees it."""
        return self._dispatch.setup

    def _stop_all(self, tx: Transaction, message: m.StopRuns, effects: list[Message]) -> None:
        for intent, _ in intents.running_intents(tx.connection):
            if (intent.adopt and not message.adoptable) or intent.run_id in self.left:
                continue
            runs.request_stop(tx, intent.run_id, "shutdown")
            effects.append(
                m.StopRun(run_id=intent.run_id, reason="shutdown", immediately=message.immediately)
            )

    def _stop_run(
        self, tx: Transaction, run_id: str, reason: StopReason, effects: list[Message]
    ) -> bool:
        if not runs.request_stop(tx, run_id, reason):
            return False
        effects.append(m.StopRun(run_id=run_id, reason=reason))
        return True
