"""Wait for what another process brings about."""

import time
from collections.abc import Callable
from typing import Any

POLL_S = 0.005
DEADLINE_S = 30.0
"""No single wait of a test takes longer, on the slowest machine that runs them."""


def eventually(probe: Callable[[], Any], why: str, timeout_s: float = DEADLINE_S) -> Any:
    """Call `probe` until it returns something true, and return that."""
    deadline = time.monotonic() + timeout_s
    while not (found := probe()):
        assert time.monotonic() < deadline, f"within {timeout_s} s: {why}"
        time.sleep(POLL_S)
    return found
