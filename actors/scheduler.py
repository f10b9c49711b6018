"""The scheduler: the only writer. It waits, moves messages, and lets the core decide.

One batch is everything that waits in the mailbox. It goes through one transaction on the writer's
runner, and only when that is on disk are asks answered, programs started or ended, and events
published. While one commit is on its way to the disk the next batch gathers: group commit.
"""

from collections.abc import Callable
from contextlib import suppress

import apsw
import outcome
import structlog
import trio

from actors.actor import Actor, Envelope, Mailbox, Message
from actors.clock import Alarm, Clock
from actors.messages import (
    AbandonDirect,
    CancelJob,
    DeleteJob,
    Drain,
    EventsCommitted,
    HoldStarts,
    HostChanged,
    LeaveRuns,
    RunExited,
    RunLimitExceeded,
    RunProcess,
    RunProgressed,
    StartsBlocked,
    StopRuns,
    StopScheduler,
    TimerFired,
)
from actors.rules.core import Core, Decision
from headway.model.field import from_us
from headway.model.problem import Refusal
from headway.model.scheduler import HostCondition
from storage.database import Runner
from storage.disk_reserve import DiskReserve
from storage.errors import StorageFailed

BATCH_MESSAGES_MAX = 256
HOST_RETRY_S = 1.0
"""How often a host that prevents starts is checked again."""
FULL_DISK = "the disk of the data directory is full: free space"
URGENT = (AbandonDirect, CancelJob, DeleteJob, Drain, RunExited, StopRuns, StopScheduler)
"""Messages that are written on a full disk too, as long as the reserve lasts."""

log = structlog.get_logger()


class Scheduler(Actor):
    """Owns the writing connection."""

    batch_size = BATCH_MESSAGES_MAX

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        core: Core,
        connection: apsw.Connection,
        runner: Runner,
        clock: Clock,
        executor: Mailbox,
        publisher: Mailbox,
        reserve: DiskReserve,
    ) -> None:
        super().__init__(mailbox)
        self._reserve = reserve
        self._core = core
        self._connection = connection
        self._runner = runner
        self._clock = clock
        self._executor = executor
        self._publisher = publisher
        self._alarm = Alarm(clock)
        self._unwritten: list[Envelope] = []
        self._recovered = False
        self._full = False
        self._condition: HostCondition | None = None
        self._looks = False
        self._nursery: trio.Nursery

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep messages that wait for space on the disk for the next life."""
        try:
            await super().run(task_status)
        finally:
            self.mailbox.keep(self._unwritten)

    async def start(self, nursery: trio.Nursery) -> None:
        """Settle what an earlier life left (see `Core.recover`): now, or when there is space."""
        # A batch that a crash interrupted has left no open transaction behind, or it goes now.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._nursery = nursery
        nursery.start_soon(self._alarm.run, self._ring)
        # An earlier life may have published a condition, which only this message ends.
        await self._publisher.tell(HostChanged(condition=None, at=self._now()))
        try:
            await self._recover()
        except apsw.FullError:
            self._wait_for_space([])
        else:
            await self._runner.run(self._reserve.fill)
        await self._note_host()

    async def _recover(self) -> None:
        decision = await self._write(lambda: self._core.recover(self._connection, self._now()))
        self._recovered = True
        await self._act(decision)

    async def handle(self, batch: list[Envelope]) -> None:
        """One transaction for the batch, then its consequences."""
        await self._handle_all(batch)
        await self._note_host()

    async def _handle_all(self, batch: list[Envelope]) -> None:
        batch[:0] = self._unwritten
        self._unwritten = []
        messages = [envelope.message for envelope in batch]
        try:
            if not self._recovered:
                await self._recover()
            decision = await self._write(lambda: self._decide(messages))
        except apsw.FullError:
            self._wait_for_space(await self._write_urgent(batch))
            return
        await self._conclude(batch, decision)
        if self._full:
            self._full = False
            await self._runner.run(self._reserve.fill)

    async def _conclude(self, batch: list[Envelope], decision: Decision) -> None:
        drains = [envelope for envelope in batch if isinstance(envelope.message, Drain)]
        if drains:
            await self._act(decision)
            await self._hold_starts(drains)
        for envelope, answer in zip(batch, decision.answers, strict=True):
            settle(envelope, answer)
        if not drains:
            await self._act(decision)

    async def _hold_starts(self, drains: list[Envelope]) -> None:
        """Before a drain is answered, stop all starts, and store which runs have not begun."""
        try:
            left = await self._executor.ask(HoldStarts())
        except Refusal as refusal:
            for envelope in drains:
                envelope.fail(refusal)
            return
        leave: list[Message] = [LeaveRuns(run_ids=left)]
        # On a full disk they are left all the same: only a boot of the host would be in the way.
        with suppress(apsw.FullError):
            await self._write(lambda: self._decide(leave, dispatch=False))

    async def _write_urgent(self, batch: list[Envelope]) -> list[Envelope]:
        """Write what ends something into the space held back for it; returns what still waits.

        Nothing starts in this transaction: its files would find no space.
        """
        urgent = [envelope for envelope in batch if isinstance(envelope.message, URGENT)]
        if not urgent or not self._recovered or not await self._runner.run(self._reserve.give_up):
            return batch
        messages = [envelope.message for envelope in urgent]
        try:
            decision = await self._write(lambda: self._decide(messages, dispatch=False))
        except apsw.FullError:
            return batch
        finally:
            await self._runner.run(self._reserve.fill)
        await self._conclude(urgent, decision)
        return [envelope for envelope in batch if not isinstance(envelope.message, URGENT)]

    def _decide(self, messages: list[Message], *, dispatch: bool = True) -> Decision:
        return self._core.decide(self._connection, self._now(), messages, dispatch=dispatch)

    def _now(self) -> int:
        return self._clock.now()

    async def _write(self, decide: Callable[[], Decision]) -> Decision:
        try:
            return await self._runner.run(decide)
        except (apsw.IOError, apsw.CorruptError, apsw.NotADBError) as error:
            # After a failed fsync it is unknown which pages are on disk, and SQLite would go on as
            # if all were (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
            raise StorageFailed(f"the database failed: {error}") from error

    async def _act(self, decision: Decision) -> None:
        # Events first, so that no progress of a run is shown before its start.
        if decision.events:
            await self._publisher.tell(EventsCommitted(events=tuple(decision.events)))
        for effect in decision.effects:
            await self._executor.tell(effect)
        self._alarm.set(decision.next_due)

    def _wait_for_space(self, batch: list[Envelope]) -> None:
        """Refuse the asks; keep the other messages until there is space again: they stay true."""
        kept = [envelope for envelope in batch if envelope.reply is None]
        # Of each topic only the newest is kept, so that they do not grow while the disk is full.
        self._unwritten = list({topic(envelope.message): envelope for envelope in kept}.values())
        for envelope in batch:
            envelope.fail(Refusal("storage_full", FULL_DISK))
        if not self._full:
            self._full = True
            log.error("disk full", waiting_events=len(self._unwritten))

    async def _note_host(self) -> None:
        """Publish each change in the condition of the host that prevents starts."""
        reason = FULL_DISK if self._full else self._core.host_reason
        known = self._condition
        if reason != (known and known.reason):
            self._condition = None
            if reason is not None:
                since = from_us(self._now()) if known is None else known.since
                self._condition = HostCondition(reason=reason, since=since)
                log.warning("starts wait for the host", reason=reason)
            else:
                log.info("starts go on")
            await self._publisher.tell(HostChanged(condition=self._condition, at=self._now()))
        if self._waits and not self._looks:
            self._looks = True
            self._nursery.start_soon(self._look_again)

    @property
    def _waits(self) -> bool:
        """Whether the scheduler itself must check again whether starts are possible."""
        return self._full or self._core.lacks_space

    async def _look_again(self) -> None:
        """Every transaction checks the host; this makes one happen if no message does."""
        while self._waits:
            await trio.sleep(HOST_RETRY_S)
            await self.mailbox.tell(TimerFired())
        self._looks = False

    async def _ring(self) -> None:
        await self.mailbox.tell(TimerFired())


def topic(message: Message) -> object:
    """The topic of a message: a newer message replaces an older one with the same topic."""
    match message:
        case RunExited(run_id=run_id) | RunProcess(run_id=run_id) | RunProgressed(run_id=run_id):
            return type(message), run_id
        case RunLimitExceeded(run_id=run_id, reason=reason):
            return type(message), run_id, reason
        case AbandonDirect(reserved=reserved):
            return type(message), reserved.run_id
        case TimerFired() | StartsBlocked():
            return type(message)
        case _:
            return id(message)


def settle(envelope: Envelope, answer: outcome.Outcome[object]) -> None:
    """Return the answer to the asker, or log that a message without one was refused."""
    if envelope.reply is None:
        if isinstance(answer, outcome.Error):
            log.warning("message refused", message=repr(envelope.message), reason=str(answer.error))
    elif isinstance(answer, outcome.Error):
        assert isinstance(answer.error, Exception)
        envelope.reply.refuse(answer.error)
    else:
        assert isinstance(answer, outcome.Value)
        envelope.reply.answer(answer.value)
