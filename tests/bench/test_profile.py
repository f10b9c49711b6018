"""From py-spy's stacks to a table."""

from bench.profile import table

STACKS = [
    "thread (7): writer;run (threading.py:1);decide (actors/core.py:3);put (storage/jobs.py:4) 6",
    "thread (7): writer;run (threading.py:1);decide (actors/core.py:9);commit (storage/x.py:4) 2",
    "thread (7): writer;run (threading.py:1);ThreadRunner._loop (actors/runner.py:58) 90",
    "MainThread;main (headway/__main__.py:9);answer (web/api/router.py:5) 2",
    "MainThread 3",
]


def test_shares_are_of_the_samples_at_work() -> None:
    lines = table(STACKS).splitlines()
    assert lines[0] == "10 samples at 100 a second"
    assert "  60.0%   60.0%  writer      put (storage/jobs.py)" in lines
    assert "   0.0%   80.0%  writer      decide (actors/core.py)" in lines
    assert "  20.0%   20.0%  MainThread  answer (web/api/router.py)" in lines


def test_neither_waiting_nor_the_trunk_is_shown() -> None:
    shown = table(STACKS)
    assert "ThreadRunner" not in shown
    assert "threading.py" not in shown
