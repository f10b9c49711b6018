"""Orderly shutdown: what SIGTERM and SIGINT do, from the closed port to the last commit.

Programs may go on for the grace, then they are ended; a full disk or `--detach` leaves them to the
next server. Invariant: no client can delay the end.
"""

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from math import inf

import structlog
import trio

from actors import messages as m
from actors.actor import Ask
from headway.model.problem import Refusal
from storage.runs import running
from web.context import Context
from web.server.listener import Server

log = structlog.get_logger()


@contextmanager
def end_signals() -> Iterator[AsyncIterator[int]]:
    """Receive SIGTERM and SIGINT. After the block they are ignored, since the process is ending.

    Trio would raise the unread ones again: they would end the process before its last commit.
    """
    early = list[int]()
    for ending in (endings := (signal.SIGTERM, signal.SIGINT)):
        signal.signal(ending, lambda number, _: early.append(number))
    with trio.open_signal_receiver(*endings) as signals:
        for number in early:
            signal.raise_signal(number)
        yield signals


async def shut_down(
    context: Context, server: Server, signals: AsyncIterator[int], *, detach: bool
) -> None:
    """Accept no more connections, answer what is in flight, and end the programs."""
    grace_s = context.settings.server.shutdown_grace_s
    left = len(running(context.reader))
    log.info("shutdown started", grace_s=grace_s, running=left, detach=detach)
    context.draining.set()
    server.drain()
    if await ask_until_committed(context, m.Drain()):
        await end_runs(context, signals, grace_s, detach=detach)
    server.finish()


async def end_runs(
    context: Context, signals: AsyncIterator[int], grace_s: float, *, detach: bool
) -> None:
    """Wait for the programs and end those that exceed the grace; leave them if the disk is full.

    With `detach` only those are ended that no later server could adopt. Runs that have not started,
    for want of resources of the host, are left too: the next server starts them.
    """

    def any_left() -> bool:
        return any(
            not (detach and adopt) and run_id not in context.core.left
            for run_id, adopt in running(context.reader)
        )

    hurried = await wait_while(any_left, context, signals, grace_s)
    stop = m.StopRuns(immediately=hurried, adoptable=not detach)
    if not any_left() or not await ask_until_committed(context, stop):
        return
    # Without a limit: TERM and KILL are under way, and KILL cannot be ignored.
    if not hurried and await wait_while(any_left, context, signals, inf):
        await ask_until_committed(context, m.StopRuns(immediately=True, adoptable=not detach))
    await wait_while(any_left, context, None, inf)


async def ask_until_committed(context: Context, message: Ask[None]) -> bool:
    """Ask the scheduler again until it has committed the message. False: the disk is full.

    Then the programs are left to the next server, as with `--detach`: nothing of them is lost.
    """
    while True:
        try:
            await context.ask(message)
        except Refusal as refusal:
            if refusal.code == "storage_full":
                log.error("programs left to the next server", why=str(refusal))
                return False
        else:
            return True
        # The scheduler has crashed. The supervisor restarts it, or ends the process.
        await trio.sleep(0.1)


async def wait_while(
    any_left: Callable[[], bool],
    context: Context,
    signals: AsyncIterator[int] | None,
    timeout_s: float,
) -> bool:
    """Wait until no program is left or the time is over. True: another signal has arrived."""
    hurried = False
    with trio.move_on_after(timeout_s):
        async with trio.open_nursery() as nursery:

            async def wait_for_signal() -> None:
                nonlocal hurried
                if signals is not None:
                    await anext(signals)
                    hurried = True
                    nursery.cancel_scope.cancel()

            nursery.start_soon(wait_for_signal)
            seq = context.events.last_seq
            while any_left():
                await context.events.beyond(seq)
                seq = context.events.last_seq
            nursery.cancel_scope.cancel()
    return hurried
