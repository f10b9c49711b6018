"""The kit: a mailbox, an envelope with a reply, and a loop that takes messages in batches.

An actor owns one bounded mailbox (a Trio memory channel) and is the only one that reads it.
Other actors `tell` it a message, or `ask` it and wait for the typed answer that the message names.

Invariant: every ask is answered, with a value, with a `Refusal`, or with `unavailable` when the
actor crashes or stops. `supervisor.py` restarts a crashed actor; nothing here depends on what the
messages are about.
"""

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import outcome
import trio

from headway.model.problem import Refusal

Answer = TypeVar("Answer", covariant=True)


class Message:
    """Base class of messages: small frozen records."""

    __slots__ = ()


class Ask(Message, Generic[Answer]):
    """A message that is answered; `class CancelJob(Ask[Job])` is answered with a Job."""

    __slots__ = ()


class Reply:
    """The reply to one ask. A second answer, or one after the asker has left, has no effect."""

    __slots__ = ("_outcome", "_task")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._outcome: outcome.Outcome[Any] | None = None

    @property
    def settled(self) -> bool:
        """Whether it has been answered."""
        return self._outcome is not None

    def answer(self, value: object) -> None:
        """Return `value` to the asker."""
        self._settle(outcome.Value(value))

    def refuse(self, error: Exception) -> None:
        """Raise `error` in the asker."""
        self._settle(outcome.Error(error))

    async def wait(self) -> Any:
        """Wait for the answer. If the asker is cancelled, its message is still handled."""
        if self._outcome is None:
            self._task = trio.lowlevel.current_task()

            def abort(_: Any) -> trio.lowlevel.Abort:
                self._task = None
                return trio.lowlevel.Abort.SUCCEEDED

            # Twice as fast as a channel or an Event per ask: no queue, no second allocation.
            await trio.lowlevel.wait_task_rescheduled(abort)
        assert self._outcome is not None
        return self._outcome.unwrap()

    def _settle(self, settled: outcome.Outcome[Any]) -> None:
        if self._outcome is not None:
            return
        self._outcome = settled
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message in a mailbox, with its reply if it is an ask."""

    message: Message
    reply: Reply | None

    @property
    def waits(self) -> bool:
        """Whether it is an ask that has no answer yet."""
        return self.reply is not None and not self.reply.settled

    def fail(self, error: Exception) -> None:
        """Raise `error` in the asker, if there is one."""
        if self.reply is not None:
            self.reply.refuse(error)


class Mailbox:
    """Holds up to `capacity` messages. Outlives its actor, so that a restart loses none of them.

    `kept`: messages without a reply whose handling was interrupted; the next life begins with them.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self.name = name
        self.kept: list[Envelope] = []
        self._send, self._receive = trio.open_memory_channel[Envelope](capacity)

    async def tell(self, message: Message) -> None:
        """Hand over a message; waits while the mailbox is full. Dropped once it is closed."""
        with suppress(trio.BrokenResourceError):
            await self._send.send(Envelope(message, None))

    def tell_nowait(self, message: Message) -> bool:
        """Hand over a message without waiting. False if the mailbox is full."""
        try:
            self._send.send_nowait(Envelope(message, None))
        except (trio.WouldBlock, trio.BrokenResourceError):
            return False
        return True

    async def ask(self, message: Ask[Answer]) -> Answer:
        """Hand over a message and wait for its answer.

        Raises:
            Refusal: what the actor answered; `unavailable` if it crashed or has stopped.
        """
        reply = Reply()
        try:
            await self._send.send(Envelope(message, reply))
        except trio.BrokenResourceError:
            raise unavailable(self.name) from None
        answer: Answer = await reply.wait()
        return answer

    async def receive_batch(self, size: int) -> list[Envelope]:
        """Wait for a message, then take all that have arrived, up to `size`."""
        batch = [await self._receive.receive()]
        while len(batch) < size:
            try:
                batch.append(self._receive.receive_nowait())
            except trio.WouldBlock:
                break
        return batch

    def keep(self, batch: list[Envelope]) -> None:
        """Keep messages without a reply for the next life; askers have been answered."""
        self.kept += [envelope for envelope in batch if envelope.reply is None]

    def close(self) -> None:
        """Refuse every message from now on, and those that are still in the mailbox."""
        with suppress(trio.WouldBlock, trio.ClosedResourceError):
            while True:
                self._receive.receive_nowait().fail(unavailable(self.name))
        self._receive.close()


class Actor(ABC):
    """Owns state, and handles its mailbox batch by batch, one batch at a time."""

    batch_size = 1

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Set up, report the start, handle batches until cancelled, clean up."""
        async with trio.open_nursery() as nursery:
            await self.start(nursery)
            task_status.started()
            await self._receive_loop()

    async def _receive_loop(self) -> None:
        await self._handle_kept()
        while True:
            batch = await self.mailbox.receive_batch(self.batch_size)
            await self._handle(batch)

    async def _handle_kept(self) -> None:
        """Handle kept messages one by one, so that only the one that crashes the actor is lost."""
        kept, self.mailbox.kept = self.mailbox.kept, []
        try:
            while kept:
                await self._handle([kept.pop(0)])
        finally:
            self.mailbox.kept += kept

    async def _handle(self, batch: list[Envelope]) -> None:
        try:
            await self.handle(batch)
        except trio.Cancelled:
            self.mailbox.keep(batch)
            raise
        except BaseException:
            # A message that crashed the actor alone would do so again; one of many may be innocent.
            if len(batch) > 1:
                self.mailbox.keep(batch)
            raise
        finally:
            # Reached with unanswered asks only by a crash or a cancellation.
            for envelope in batch:
                if envelope.waits:
                    envelope.fail(unavailable(self.mailbox.name))

    async def start(self, nursery: trio.Nursery) -> None:  # noqa: B027 - most need nothing
        """Acquire what the actor needs; tasks that live as long as it go into `nursery`."""

    @abstractmethod
    async def handle(self, batch: list[Envelope]) -> None:
        """Handle every message of the batch and answer every ask in it.

        An exception that leaves this method is a bug: the actor crashes, what was not answered is
        answered with `unavailable`, and the supervisor decides what to do.
        """


def unavailable(name: str) -> Refusal:
    """The refusal that stands for an actor that crashed or stopped."""
    return Refusal("unavailable", f"the {name} is not running at the moment: try again shortly")
