"""An actor that crashes again and again: the process ends, and says why."""

import sqlite3
from collections.abc import Callable
from typing import Any

from tests.contract.server import Server


def rename(server: Server, old: str, new: str) -> None:
    """As no operator should."""
    connection = sqlite3.connect(server.data_dir / "headway.db", isolation_level=None)
    connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
    connection.close()


def test_a_crash_loop_ends_with_the_reason(
    launch: Callable[..., Any], ended: Callable[..., str]
) -> None:
    server = launch()
    server.post("/scheduler/stop")
    kept = server.submit("ok")["job_id"]
    rename(server, "reservations", "taken_away")
    answer = server.client.post("/jobs", json={"type": "ok"})
    assert answer.status_code == 503
    said = ended(server)
    assert "scheduler crashed" in said
    assert "3 restarts" in said
    assert "no such table" in said

    rename(server, "taken_away", "reservations")
    # The crashes were wanted, and are no accident of the next life.
    server.stderr.rename(server.stderr.with_name("stderr.crashed"))
    server.start()
    assert server.job(kept)["status"] == "QUEUED"
    assert server.rows("SELECT count(*) FROM jobs") == [(1,)]
