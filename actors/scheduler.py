"""The scheduler: the only writer. It waits, moves messages, and lets the core decide.

One batch is everything that waits in the mailbox. It goes through one transaction on the writer's
runner, and only when that is on disk are asks answered, programs started or ended, and facts
published. While one commit is on its way to the disk the next batch gathers: group commit.
"""

from collections.abc import Callable

import apsw
import outcome
import structlog
import trio

from actors.actor import Actor, Envelope, Mailbox
from actors.clock import Alarm, Clock
from actors.core import Core, Decision
from actors.messages import FactsCommitted, MomentCame
from storage.database import Runner
from storage.errors import Refusal, StorageFailed

BATCH_MESSAGES_MAX = 256
FULL_DISK_RETRY_S = 1.0

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
        stats: Mailbox,
    ) -> None:
        super().__init__(mailbox)
        self._core = core
        self._connection = connection
        self._runner = runner
        self._clock = clock
        self._executor = executor
        self._stats = stats
        self._alarm = Alarm(clock)
        self._unwritten: list[Envelope] = []

    async def start(self, nursery: trio.Nursery) -> None:
        """Settle what an earlier life left: see `Core.recover`."""
        # A batch that a crash interrupted has left no open transaction behind, or it goes now.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        decision = await self._write(lambda: self._core.recover(self._connection, self._now()))
        await self._act(decision)
        nursery.start_soon(self._alarm.run, self._ring)

    async def handle(self, batch: list[Envelope]) -> None:
        """One transaction for the batch, then its consequences."""
        batch[:0] = self._unwritten
        self._unwritten = []
        messages = [envelope.message for envelope in batch]
        try:
            decision = await self._write(
                lambda: self._core.decide(self._connection, self._now(), messages)
            )
        except apsw.FullError:
            await self._wait_for_space(batch)
            return
        for envelope, answer in zip(batch, decision.answers, strict=True):
            settle(envelope, answer)
        await self._act(decision)

    def _now(self) -> int:
        return self._clock.now()

    async def _write(self, decide: Callable[[], Decision]) -> Decision:
        try:
            return await self._runner.run(decide)
        except (apsw.IOError, apsw.CorruptError, apsw.NotADBError) as error:
            # After a failed fsync nobody knows which pages are on disk, and SQLite would go on as
            # if all were (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
            raise StorageFailed(f"the database failed: {error}") from error

    async def _act(self, decision: Decision) -> None:
        for effect in decision.effects:
            await self._executor.tell(effect)
        if decision.facts:
            await self._stats.tell(FactsCommitted(facts=tuple(decision.facts)))
        self._alarm.set(decision.next_due)

    async def _wait_for_space(self, batch: list[Envelope]) -> None:
        """Refuse the asks; keep what was told, since it stays true, until there is space again."""
        log.error("disk full", waiting_facts=sum(envelope.reply is None for envelope in batch))
        for envelope in batch:
            if envelope.reply is None:
                self._unwritten.append(envelope)
            else:
                envelope.fail(
                    Refusal("storage_full", "the disk of the data directory is full: free space")
                )
        await trio.sleep(FULL_DISK_RETRY_S)
        self.mailbox.tell_nowait(MomentCame())

    async def _ring(self) -> None:
        await self.mailbox.tell(MomentCame())


def settle(envelope: Envelope, answer: outcome.Outcome[object]) -> None:
    """Give the asker its answer."""
    if envelope.reply is None:
        if isinstance(answer, outcome.Error):
            log.warning("told in vain", message=repr(envelope.message), why=str(answer.error))
    elif isinstance(answer, outcome.Error):
        assert isinstance(answer.error, Exception)
        envelope.reply.refuse(answer.error)
    else:
        assert isinstance(answer, outcome.Value)
        envelope.reply.answer(answer.value)
