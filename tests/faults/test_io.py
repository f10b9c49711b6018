"""Every I/O operation of some core transactions fails, in every way; `.ci/run` plays them all."""

import tempfile
from pathlib import Path

import pytest

from tests.faults.fault_loop import FAULTS, Stage
from tests.faults.transaction import CASES
from tests.simulation.world import memory

# The disk raises in SQLite's callbacks, also where SQLite asks nobody whether it may go on.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize("name", ["submit", "finish", "recover", "migrate", "migrate further"])
def test_every_operation_may_fail(name: str) -> None:
    with tempfile.TemporaryDirectory(dir=memory()) as directory:
        stage = Stage(CASES[name], Path(directory))
        stage.play_all()
    assert set(stage.points) == {fault.name for fault in FAULTS}
    assert stage.points["kill"] > 10
