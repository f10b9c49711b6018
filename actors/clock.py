"""Wall-clock time, waiting for a moment of it, and the clock that counts from boot.

Nothing else reads them; only the host, a seam of its own, counts the age of a process from boot.
Times are whole microseconds since 1970-01-01 UTC. How long something lasts is measured from boot:
that clock is never set, and goes on while the host sleeps (CLOCK_BOOTTIME).

`wait_until` also returns early when the clock is set, so the caller checks again: a Job that is due
at 09:00 starts when the host's clock shows 09:00, whether it ran there or was set.
"""

import ctypes
import errno
import os
import time
from math import inf
from typing import Protocol

import trio

TFD_TIMER_ABSTIME = 1
TFD_TIMER_CANCEL_ON_SET = 2


class Clock(Protocol):
    """The seam: production reads the host's clock, a simulation makes its own."""

    def now(self) -> int:
        """µs since 1970-01-01 UTC."""
        ...

    def boot_us(self) -> int:
        """µs since the host's boot."""
        ...

    async def wait_until(self, moment: int) -> None:
        """Return when `now() >= moment`, or earlier if the clock was set: look again."""
        ...


class VirtualClock:
    """Wall-clock time that follows Trio's clock, which a test moves (`MockClock`)."""

    def __init__(self, start: int = 1_800_000_000_000_000) -> None:
        self.start = start

    def now(self) -> int:
        """µs since 1970-01-01 UTC."""
        return self.start + self.boot_us()

    def boot_us(self) -> int:
        """µs since Trio's clock began."""
        return round(trio.current_time() * 1_000_000)

    async def wait_until(self, moment: int) -> None:
        """Sleep on Trio's clock."""
        await trio.sleep(max(0, moment - self.now()) / 1_000_000)


class SystemClock:
    """The host's clock, with a timerfd (timerfd_create(2)) on CLOCK_REALTIME.

    A monotonic sleep would miss a clock that is set, and time that the host spends suspended.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.timerfd_create(
            time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC
        )
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")

    def now(self) -> int:
        """µs since 1970-01-01 UTC."""
        return time.time_ns() // 1000

    def boot_us(self) -> int:
        """µs since the host's boot."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    async def wait_until(self, moment: int) -> None:
        """Sleep until the clock shows `moment` or is set. One waiter at a time."""
        seconds, us = divmod(max(moment, 1), 1_000_000)
        spec = (ctypes.c_long * 4)(0, 0, seconds, us * 1000)
        flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        if self._libc.timerfd_settime(self._descriptor, flags, spec, None) < 0:
            if ctypes.get_errno() == errno.ECANCELED:
                # The clock was set since the last wait: the kernel reports it here, not by a read.
                await trio.lowlevel.checkpoint()
                return
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")
        await trio.lowlevel.wait_readable(self._descriptor)
        try:
            os.read(self._descriptor, 8)
        except OSError as error:
            if error.errno not in (errno.ECANCELED, errno.EAGAIN):
                raise

    def close(self) -> None:
        """Close the timer. A second call does nothing: the number may be another file's by then."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Alarm:
    """Calls `ring` when the moment that was last set has come. No timer runs when none is set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moment: int | None = None
        self._waits_until: float = inf
        self._waiting = trio.CancelScope()

    def set(self, moment: int | None) -> None:
        """Ring at `moment` (µs) and no longer at the one before; None: do not ring."""
        self._moment = moment
        # A later one need not wake it: it looks again when it wakes.
        if moment is not None and moment < self._waits_until:
            self._waiting.cancel()

    async def run(self, ring: "Ring") -> None:
        """Wait, ring, and forget the moment. Runs until cancelled."""
        while True:
            self._waits_until = inf if self._moment is None else self._moment
            with trio.CancelScope() as self._waiting:
                if self._moment is None:
                    await trio.sleep_forever()
                else:
                    await self._clock.wait_until(self._moment)
            if self._moment is not None and self._clock.now() >= self._moment:
                self._moment = None
                await ring()


class Ring(Protocol):
    """The function that an alarm calls when its moment has come."""

    async def __call__(self) -> None: ...
