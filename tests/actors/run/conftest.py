"""A house whose runs leave files, and whose collections are slow."""

from typing import Any

import pytest

from tests.actors.house import House
from tests.actors.run.collecting import SlowPool


@pytest.fixture
def slow(house: House) -> SlowPool:
    house.collectors = SlowPool()
    pool: SlowPool = house.collectors
    return pool


@pytest.fixture
def leaving(house: House, program: Any) -> Any:
    """Programs of type a leave an artifact."""
    house.host.programs["a"] = program(lasts_s=2.5, artifacts={"story.md": b"once"})
    return house
