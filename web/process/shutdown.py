"""The orderly end of a server: what SIGTERM does, from the closed door to the last commit.

Programs may go on for the grace, then they are ended; a full disk or `--detach` leaves them to the
next server. Invariant: nothing that a client does delays the end.
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
    """SIGTERM and SIGINT as they come. Behind this block they change nothing: it is the end.

    Trio would raise those that are left again: they would end the process before its last commit.
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
    """Close the door, let what is inside finish, end what does not."""
    grace_s = context.settings.server.shutdown_grace_s
    left = len(running(context.reader))
    log.info("shutting down", grace_s=grace_s, running=left, detach=detach)
    context.draining.set()
    server.drain()
    if await ask_until_committed(context, m.Drain()):
        await end_runs(context, signals, grace_s, detach=detach)
    server.finish()


async def end_runs(
    context: Context, signals: AsyncIterator[int], grace_s: float, *, detach: bool
) -> None:
    """Wait for the programs, end those that take longer; leave them if the disk is full.

    With `detach` that goes only for those that no later server could adopt. Runs that have not
    begun, since the host did not let them, are left too: the next server starts them.
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
    # No limit from here on: TERM and KILL are under way, and KILL cannot be refused.
    if not hurried and await wait_while(any_left, context, signals, inf):
        await ask_until_committed(context, m.StopRuns(immediately=True, adoptable=not detach))
    await wait_while(any_left, context, None, inf)


async def ask_until_committed(context: Context, message: Ask[None]) -> bool:
    """Until the scheduler has written it down. False: the disk is full, and the end cannot wait.

    What runs then is left to the next server, as with `--detach`: nothing of it is lost.
    """
    while True:
        try:
            await context.ask(message)
        except Refusal as refusal:
            if refusal.code == "storage_full":
                log.error("programs are left to the next server", why=str(refusal))
                return False
        else:
            return True
        # It crashed at this moment. The supervisor starts it again, or ends everything.
        await trio.sleep(0.1)


async def wait_while(
    any_left: Callable[[], bool],
    context: Context,
    signals: AsyncIterator[int] | None,
    timeout_s: float,
) -> bool:
    """Until no program is left, the time is over, or (True) another signal asks for haste."""
    hurried = False
    with trio.move_on_after(timeout_s):
        async with trio.open_nursery() as nursery:

            async def listen_for_haste() -> None:
                nonlocal hurried
                if signals is not None:
                    await anext(signals)
                    hurried = True
                    nursery.cancel_scope.cancel()

            nursery.start_soon(listen_for_haste)
            seq = context.events.last_seq
            while any_left():
                await context.events.beyond(seq)
                seq = context.events.last_seq
            nursery.cancel_scope.cancel()
    return hurried
