"""For all tests: virtual time, where a test or one of its fixtures asks for it; no time limits."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import settings
from trio.testing import MockClock

from tests.deep_tree import remove_all

# A loaded machine is slow, not wrong.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# A shell that starts us in the background has us ignore it, and all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

VIRTUAL_DEADLINE_S = 1e7
"""Four months, which pass in a moment when no task has anything to do."""


def on_virtual_time(main: Any, *, clock: Any, instruments: Any) -> Any:
    async def bounded() -> Any:
        with trio.fail_after(VIRTUAL_DEADLINE_S):
            return await main()

    clock = clock or MockClock(autojump_threshold=0)
    return trio.run(bounded, clock=clock, instruments=instruments)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """pytest-trio looks for a clock among a test's own arguments; here a fixture may want one."""
    for item in items:
        if "autojump_clock" in item.fixturenames:
            item.add_marker(pytest.mark.trio(run=on_virtual_time), append=False)


@pytest.fixture(autouse=True)
def this_process_stays_as_it_was() -> Iterator[None]:
    """What one test sets for the whole process would change the meaning of those after it."""

    def state() -> tuple[object, ...]:
        os.umask(mask := os.umask(0o077))
        return os.getcwd(), mask, sys.get_int_max_str_digits(), sys.getrecursionlimit()

    before = state()
    yield
    assert state() == before


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Path]:
    """A directory in which a test may leave anything: it is removed at once, by us."""
    yield tmp_path
    remove_all(tmp_path)
