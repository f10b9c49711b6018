"""Clients: send every kind of request, keep a journal, and retry when an answer is lost.

A client lives as long as the server that it talks to. What it asked when that died has an unknown
outcome; the next client asks it again under the same Idempotency-Key.
"""

import hashlib
import json
import random
from dataclasses import replace
from itertools import accumulate, chain

import trio

from actors import messages as m
from actors.actor import Ask
from headway.model.field import from_us
from headway.model.job import JobPatch, JobStatus, NewJob
from headway.model.problem import Refusal
from storage.idempotency import KEPT_US, Key
from storage.reservations import find_reservation
from tests.simulation.model import Breach, Model
from tests.simulation.shutdown import Door
from tests.simulation.timing import Ticks
from web.context import Context

S = 1_000_000
PAUSE_S = 0.25
JOBS_MIN = 200
UNKNOWN = frozenset({"unavailable", "shutting_down"})
"""Refusals after which the request may have been carried out all the same."""

KEPT_S = 23 * 3600

Submission = tuple[tuple[NewJob, ...], Key | None, bool, int]
"""What was sent: the Jobs, the key, whether as a batch, and when (µs of the wall clock).

Of several times the earliest: a clock that was set back may have given the key that one."""


WEIGHTS = {
    "submit": 40,
    "again": 5,
    "batch": 6,
    "cancel": 12,
    "patch": 10,
    "delete": 4,
    "retry": 4,
    "trigger": 3,
    "direct": 5,
    "reserve": 4,
    "release": 3,
    "configure": 3,
    "stop": 2,
}
"""What they ask for, and how often."""

_NAMES = tuple(WEIGHTS)
_CUMULATED = tuple(accumulate(WEIGHTS.values()))

ANSWERS = (*WEIGHTS, "replay")


class Clients:
    """The clients of a world; their journal is in the model. `answered`: answers by request."""

    def __init__(self, rng: random.Random, model: Model, types: list[str], ticks: Ticks) -> None:
        self.asked = 0
        self.configured = 0
        self.missed = set[str]()  # types that were not configured for a time
        self.answered: dict[str, int] = dict.fromkeys(ANSWERS, 0)
        self._rng = rng
        self._model = model
        self._types = types
        self._ticks = ticks
        self._in_doubt: list[Submission] = []
        self._under_way: list[Submission] = []
        self._answered: list[Submission] = []
        self._reservations: list[str] = []

    @property
    def done(self) -> bool:
        """Whether there are enough Jobs, and it is known of each whether it was queued."""
        return self._model.jobs >= JOBS_MIN and not self._in_doubt

    def clock_was_set(self, now: int) -> None:
        """What the server may have forgotten by now it does not remember when the clock goes back.

        So a request that was sent longer ago than keys are kept is not sent again; of one
        that is in progress at this moment it is unknown which time its key gets, or had.
        """
        for jobs, *_ in self._under_way:
            self._model.forgotten.update(str(job.name) for job in jobs)
        for sent in (self._in_doubt, self._answered):
            sent[:] = [entry for entry in sent if now - entry[3] <= KEPT_S * S]

    async def run(self, context: Context, door: Door) -> None:
        """Send requests until there are enough Jobs, or the server stops accepting, or dies."""
        while not self.done:
            await self._ticks.sleep(self._rng.expovariate(1 / PAUSE_S))
            if not door.open:
                return
            (name,) = self._rng.choices(_NAMES, cum_weights=_CUMULATED)
            try:
                await getattr(self, f"_{name}")(context)
            except Refusal:
                continue
            self.answered[name] += 1

    # ---- asking ------------------------------------------------------------------------------

    async def _submit(self, context: Context) -> None:
        if self._in_doubt and self._rng.random() < 0.5:
            await self._send(context, self._in_doubt.pop(0), in_doubt=True)
            return
        jobs = (self._new_job(context),)
        await self._send(context, (jobs, self._key(jobs), False, context.clock.now()))

    async def _again(self, context: Context) -> None:
        """Repeat a request, as after an answer that was lost."""
        if self._answered:
            await self._send(context, self._rng.choice(self._answered))

    async def _batch(self, context: Context) -> None:
        jobs = tuple(self._new_job(context) for _ in range(self._rng.randint(2, 12)))
        await self._send(context, (jobs, self._key(jobs), True, context.clock.now()))

    async def _send(
        self, context: Context, submission: Submission, *, in_doubt: bool = False
    ) -> None:
        jobs, key, batch, sent_at = submission
        now = context.clock.now()
        if now - sent_at > KEPT_S * S:
            return  # the key may have been forgotten by now
        submission = (jobs, key, batch, min(sent_at, now))
        names = [str(job.name) for job in jobs]
        for name in names:
            self._model.asked(name)
        self._under_way.append(submission)
        try:
            done = await context.ask(m.SubmitJobs(jobs=jobs, key=key, batch=batch))
        except Refusal as refusal:
            # On a full disk the server does not look whether it is there from the first time.
            if refusal.code in UNKNOWN or (in_doubt and refusal.code == "storage_full"):
                self._doubt(submission)
            else:
                for name in names:
                    self._model.no(name)
            raise
        except trio.Cancelled:
            self._doubt(submission)
            raise
        finally:
            self._under_way.remove(submission)
        self.answered["replay"] += done.replayed
        if done.response is not None and batch:
            ids = [entry["job_id"] for entry in json.loads(done.response)["jobs"]]
        else:
            ids = [str(done.location).rpartition("/")[2]]
        for name, job_id in zip(names, ids, strict=True):
            self._model.acknowledged(name, job_id)
        if key is not None and self._model.forgotten.isdisjoint(names):
            self._answered.append(submission)

    def _doubt(self, submission: Submission) -> None:
        names = (str(job.name) for job in submission[0])
        if submission[1] is not None and self._model.forgotten.isdisjoint(names):
            self._in_doubt.append(submission)

    def _new_job(self, context: Context) -> NewJob:
        self.asked += 1
        now, chance = context.clock.now(), self._rng.random
        type_, priority = self._rng.choice(self._types), self._rng.choice((0, 0, 0, 10, 50, 100))
        run_at = now + round(self._rng.uniform(-2, 20) * S) if chance() < 0.25 else None
        earliest = max(now, run_at or now)
        return NewJob(
            type=type_,
            priority=priority,
            run_at=None if run_at is None else from_us(run_at),
            expires_at=from_us(earliest + self._rng.randint(1, 60) * S) if chance() < 0.1 else None,
            name=f"job {self.asked}",
            labels={"n": str(self.asked % 3)} if chance() < 0.2 else {},
        )

    def _key(self, jobs: tuple[NewJob, ...]) -> Key | None:
        if self._rng.random() < 0.4:
            return None
        digest = hashlib.sha256(repr(jobs).encode()).digest()
        return Key(key=f"key of {jobs[0].name}", request=digest)

    # ---- changing ----------------------------------------------------------------------------

    def _some(self, *statuses: JobStatus) -> str | None:
        open_ = ((job_id, job.status) for job_id, job in self._model.replay.jobs.items())
        known = chain(open_, self._model.statuses.items())
        fitting = [job_id for job_id, status in known if status in statuses]
        return self._rng.choice(fitting) if fitting else None

    async def _cancel(self, context: Context) -> None:
        if job_id := self._some(JobStatus.QUEUED, JobStatus.RUNNING):
            job = await context.ask(m.CancelJob(job_id=job_id))
            if job.status is JobStatus.CANCELLED:
                self._model.cancelled.add(job_id)

    async def _patch(self, context: Context) -> None:
        if job_id := self._some(JobStatus.QUEUED):
            run_at = from_us(context.clock.now() + self._rng.randint(0, 10) * S)
            patch = (
                JobPatch(priority=self._rng.randint(0, 100))
                if self._rng.random() < 0.7
                else JobPatch(run_at=run_at)
            )
            await context.ask(m.PatchJob(job_id=job_id, patch=patch))

    async def _delete(self, context: Context) -> None:
        if job_id := self._some(JobStatus.QUEUED):
            await context.ask(m.DeleteJob(job_id=job_id))
            self._model.cancelled.add(job_id)

    async def _retry(self, context: Context) -> None:
        if job_id := self._some(JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.COMPLETED):
            self.asked += 1
            await self._create_once(context, m.RetryJob(job_id=job_id), f"retry {self.asked}")

    async def _trigger(self, context: Context) -> None:
        self.asked += 1
        trigger = m.TriggerJob(type=self._rng.choice(self._types), params={})
        await self._create_once(context, trigger, f"trigger {self.asked}")

    async def _create_once(self, context: Context, message: Ask[object], name: str) -> None:
        """Send a creation without a key, or twice with one."""
        if self.asked % 2:
            await context.ask(message)
            return
        once = m.Once(key=Key(key=name, request=name.encode()), message=message)
        asked_at = context.clock.now()
        first, again = await context.ask(once), await context.ask(once)
        if context.clock.now() - asked_at > KEPT_US:
            return  # the clock was set ahead, and the key's time is over
        if not again.replayed or (again.response, again.location) != (
            first.response,
            first.location,
        ):
            raise Breach(f"{name} was asked twice, and answered {first!r} and {again!r}")

    async def _direct(self, context: Context) -> None:
        message: Ask[m.DirectReservation] = m.StartDirect(
            type=self._rng.choice(self._types), params={}
        )
        reserved = await context.ask(message)
        await self._ticks.sleep(self._rng.expovariate(0.5))
        if self._rng.random() < 0.4:
            await context.scheduler.tell(m.AbandonDirect(reserved=reserved))

    async def _reserve(self, context: Context) -> None:
        held = await context.ask(m.Reserve(ttl_s=self._rng.uniform(1, 20)))
        self._reservations.append(held.reservation_id)

    async def _release(self, context: Context) -> None:
        if self._reservations:
            name = self._rng.choice(self._reservations)
            # Without a draw of its own, which would make other worlds of all seeds.
            every = len(self._reservations) % 4 == 0
            release = m.ReleaseReservations(), m.ReleaseReservation(reservation_id=name)
            await context.ask(release[0] if every else release[1])
            if find_reservation(context.reader, name).state != "ENDED":
                raise Breach(f"{name} was released, and has not ended")

    async def _configure(self, context: Context) -> None:
        self.configured += 1
        if self.configured % 3 == 0:
            await self.reload(context, without=self._types[self.configured % len(self._types)])
        elif self.configured % 3 == 1:
            await self.reload(context)
        concurrency = self._rng.choice((None, 1, 2, 3, 5))
        limits = {self._rng.choice(self._types): self._rng.choice((None, 1, 2))}
        await context.ask(
            m.ConfigureScheduler(set_concurrency=True, concurrency=concurrency, types=limits)
        )

    async def reload(self, context: Context, without: str = "") -> None:
        """Reload another configuration: the whole one, or one in which a type is missing."""
        setup = context.settings.setup
        self.missed.add(without)
        types = {name: type_ for name, type_ in setup.job_types.items() if name != without}
        wanted = replace(setup, job_types=types)
        await context.ask(m.ReplaceSetup(setup=wanted, changed=(without,)))

    async def _stop(self, context: Context) -> None:
        await context.ask(m.StopScheduler())
        await self._ticks.sleep(self._rng.expovariate(1.0))
        await context.ask(m.StartScheduler())
