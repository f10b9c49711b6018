"""Unique ids: of Jobs, runs, reservations, and of each life of the server."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from actors.clock import Clock

POOL_BYTES = 4096
"""Asked of the kernel at a time, for 512 ids: a millisecond's work.

Each call lets go of the interpreter's lock for a moment. A thread that does so more often than the
switch interval starves a thread that waits for it: it is woken each time, comes too late, and waits
again (`take_gil` in CPython's ceval_gil). With 256 bytes a batch held up the event loop for 20 ms.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The boot of the host and the life of the server that claim runs."""

    boot_id: str
    server_id: str


class Ids:
    """UUIDv7 with a prefix (RFC 9562, 5.7; method 3: sub-millisecond time in rand_a).

    Ids grow even when the clock is set back, so that the newest is the last in every index.
    """

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._last = 0
        self._pool = b""
        # The writer's thread and the event loop both name things.
        self._lock = threading.Lock()

    def __call__(self, prefix: str) -> str:
        """A new id, for instance `job-01890a5d-ac96-774b-bcce-b302099a8057`."""
        milliseconds, us = divmod(self._clock.now(), 1000)
        # 48 bits of milliseconds, then 12 bits of their fraction.
        ticks = milliseconds << 12 | us * 4096 // 1000
        with self._lock:
            self._last = ticks = max(ticks, self._last + 1)
            if len(self._pool) < 8:
                self._pool = self._random_bytes(POOL_BYTES)
            random, self._pool = self._pool[:8], self._pool[8:]
        time, rest = f"{ticks:015x}", f"{0b10 << 62 | int.from_bytes(random) >> 2:016x}"
        return f"{prefix}-{time[:8]}-{time[8:12]}-7{time[12:]}-{rest[:4]}-{rest[4:]}"
