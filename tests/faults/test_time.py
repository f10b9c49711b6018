"""A clock that is set by ten days while the server lives, and a host that sleeps."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


@pytest.fixture
def clock(tmp_path: Path) -> Any:
    """The environment of a server whose clock can be set, and how to set it."""
    library = next((str(p) for glob in LIBRARIES for p in Path("/").glob(glob[1:])), None)
    if library is None:
        pytest.skip("libfaketime is not here")
    offset = tmp_path / "offset"

    def set_by(days: str) -> None:
        offset.write_text(f"{days}\n")

    set_by("+0")
    environ = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return environ, set_by


@pytest.mark.parametrize("days", ["+10d", "-10d"])
def test_a_clock_that_is_set_ends_nothing_and_loses_nothing(
    launch: Callable[..., Any], gate: Any, clock: Any, days: str
) -> None:
    environ, set_by = clock
    server = launch(start=False)
    server.start(environ=environ)
    began = server.hold(gate, timeout_s=600)
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5 * 86_400))
    deferred = server.submit("ok", run_at=soon)["job_id"]
    waiting = server.submit("ok")["job_id"]

    set_by(days)
    later = server.submit("ok", priority=50)["job_id"]
    year_day = server.job(later)["created_at"][:10]
    assert year_day != began["created_at"][:10]
    assert server.job(began["job_id"])["status"] == "RUNNING"
    gate.open()
    assert server.until(began["job_id"])["status"] == "COMPLETED"
    assert 0 <= server.run_of(began["job_id"])["duration_s"] < 86_400
    assert server.until(later)["status"] == "COMPLETED"
    assert server.until(waiting)["status"] == "COMPLETED"
    if days == "+10d":
        assert server.until(deferred)["status"] == "COMPLETED"
    else:
        assert server.job(deferred)["status"] == "QUEUED"
    assert not server.breaches()
    server.stop()
    server.start()  # and back again
    assert server.run("ok")["status"] == "COMPLETED"
    assert not server.breaches()


def test_a_host_that_sleeps_misses_nothing(launch: Callable[..., Any], gate: Any) -> None:
    server = launch()
    running = server.hold(gate)["job_id"]
    hasty = server.submit("ok", priority=1)["job_id"]
    in_2_s = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    due = server.submit("ok", run_at=in_2_s)["job_id"]
    server.signal(signal.SIGSTOP)
    try:
        asked = server.background(server.client.get, "/health")
        gate.open()  # the program ends while nobody looks
        server.eventually(lambda: not server.processes(), "the program has ended")
        time.sleep(2)
        assert not asked.done()
    finally:
        server.signal(signal.SIGCONT)
    assert asked.result(server.deadline_s).status_code == 200
    for job in (running, hasty, due):
        assert server.until(job)["status"] == "COMPLETED"
