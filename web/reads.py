"""Reads of the database that may walk many rows: off the event loop, and within a deadline.

Every read is tried for a moment on one thread, so that a page never waits behind a search; a longer
one is started again on one of a few other threads, with a deadline. It is stopped as soon as its
client has gone, or the server drains.

Invariant: a read that no client waits for does not run, and has no place in a queue.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Generic, TypeVar

import apsw
import outcome
import trio

from headway.model.problem import Refusal
from storage.database import Runner

T = TypeVar("T")
Read = Callable[[apsw.Connection], T]

QUICK_S = 0.05
"""How long a read may delay those behind it. A page of 50 Jobs takes 2 ms."""
WAITING_MAX = 16
"""How many long reads may wait for a thread: more would exceed their deadlines."""
LOOK_S = 0.1
"""How soon a long read ends whose client has gone."""
STEPS = 100_000
"""SQLite's instructions, some 2 ms, between two checks whether a read is still needed."""

client_gone: ContextVar[Callable[[], bool]] = ContextVar("client_gone", default=lambda: False)
"""Whether the client that this task works for has closed its connection."""

GONE = Refusal(
    "unavailable", "the connection was closed before the answer: keep it open until then"
)
DRAINING = Refusal("shutting_down", "the server is shutting down: ask again when it is back")
CROWDED = Refusal(
    "unavailable",
    f"{WAITING_MAX} long reads wait already: try again, or narrow it with status, type or a job id",
)


class StoppableRead(Generic[T]):
    """One read on a connection's thread, which the event loop can stop."""

    def __init__(self, connection: apsw.Connection, read: Read[T]) -> None:
        self._connection = connection
        self._read = read
        self._stopped = False

    def stop(self) -> None:
        """Make the statement that runs, or the next one, raise `apsw.InterruptError`."""
        self._stopped = True
        self._connection.interrupt()

    def __call__(self) -> T:
        """Read, on the thread. SQLite polls too: an interrupt between two statements is lost."""
        if self._stopped:
            raise apsw.InterruptError("stopped before it began")
        self._connection.set_progress_handler(lambda: self._stopped, STEPS)
        return self._read(self._connection)


class Reader:
    """A connection and its thread."""

    def __init__(self, connection: apsw.Connection, runner: Runner) -> None:
        self.connection = connection
        self._runner = runner

    async def run(self, read: Read[T]) -> T:
        """The result. When cancelled, the read is stopped, and its end, which is near, awaited."""
        call = StoppableRead(self.connection, read)
        try:
            return await self._runner.run(call, call.stop)
        except apsw.InterruptError:
            await trio.lowlevel.checkpoint_if_cancelled()
            raise


class Reads:
    """The readers of a server: one for quick reads, several for long ones."""

    def __init__(
        self, quick: Reader, long: Sequence[Reader], *, timeout_s: float, draining: trio.Event
    ) -> None:
        self.quick = quick
        self._quick_turn = trio.Lock()
        self._long = list(long)
        self._long_turn = trio.CapacityLimiter(len(self._long))
        self._timeout_s = timeout_s
        self._draining = draining

    async def read(self, read: Read[T], *, is_long: bool = False) -> T:
        """The result of a read. `is_long`: it is known to walk many rows, and is not tried first.

        Raises:
            Refusal: `unavailable` or `shutting_down`, where it was not waited for to its end.
        """
        if not is_long:
            async with self._quick_turn:
                with trio.move_on_after(QUICK_S):
                    return await self.quick.run(read)
        if self._long_turn.statistics().tasks_waiting >= WAITING_MAX:
            raise CROWDED.anew()
        return await self._read_long(read)

    async def _read_long(self, read: Read[T]) -> T:
        why: list[Refusal] = []
        done: outcome.Outcome[T] | None = None
        with trio.move_on_after(self._timeout_s) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, scope, why)
                try:
                    done = outcome.Value(await self._in_turn(read))
                except Exception as error:  # noqa: BLE001 - raised below, outside the nursery
                    done = outcome.Error(error)
                nursery.cancel_scope.cancel()
        if done is None:
            raise why[0].anew() if why else self._too_long()
        return done.unwrap()

    async def _in_turn(self, read: Read[T]) -> T:
        async with self._long_turn:
            reader = self._long.pop()
            try:
                return await reader.run(read)
            finally:
                self._long.append(reader)

    async def _watch(self, scope: trio.CancelScope, why: list[Refusal]) -> None:
        is_gone = client_gone.get()
        while not why:
            if self._draining.is_set():
                why.append(DRAINING)
            elif is_gone():
                why.append(GONE)
            else:
                with trio.move_on_after(LOOK_S):
                    await self._draining.wait()
        scope.cancel()

    def _too_long(self) -> Refusal:
        return Refusal(
            "unavailable",
            f"this takes longer than {self._timeout_s:g} s ([server] read_timeout_s): narrow it"
            " with status, type, label or a job id",
        )
