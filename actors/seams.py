"""The seams: what production and simulation do differently, handed down from the wiring.

Production's values are in `serve.py`, those of tests in `tests/imagined.py` and `tests/simulation`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from actors.clock import Clock
from actors.host.free_space import Space
from actors.host.process import Host
from actors.runner import InlineRunner, Pool
from storage.database import Runner
from storage.disk_reserve import RESERVE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """Everything that differs between production and simulation."""

    clock: Clock
    random_bytes: Callable[[int], bytes]
    writer: Runner
    readers: tuple[Runner, ...]
    batches: Runner
    files: Pool
    collectors: Pool
    checker: Runner
    host: Host
    vfs: str | None = None
    bodies: Runner = field(default_factory=InlineRunner)
    reserve_bytes: int = RESERVE_BYTES
    statvfs: Callable[[Path], Space] = os.statvfs
    log_lines_dropped: Callable[[], int] = int  # 0
