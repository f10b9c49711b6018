"""A host that lets nothing start, under a real server: Jobs wait for it, and none fails."""

import subprocess
from collections.abc import Callable
from typing import Any

MIB = 1 << 20
FREE = "HEADWAY_SCHEDULER__FREE_SPACE_BYTES"


def why_not_ready(server: Any) -> str | None:
    """What `/ready` says while the host lets nothing start."""
    answer = server.client.get("/ready")
    if answer.status_code == 200:
        return None
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    return str(answer.json()["detail"])


def until_blocked(server: Any, reason: str) -> None:
    """Until nothing starts, for this reason; told alike wherever somebody may ask."""
    server.eventually(lambda: reason in (why_not_ready(server) or ""), f"/ready says {reason}")
    condition = server.status()["host_condition"]
    assert reason in condition["reason"]
    assert condition["since"].endswith("Z")
    assert "headway_host_condition 1.0" in server.client.get("/metrics").text


def until_fit(server: Any) -> None:
    """Until Jobs start again."""
    server.eventually(lambda: why_not_ready(server) is None, "it is ready again")
    assert server.status()["host_condition"] is None
    assert "headway_host_condition 0.0" in server.client.get("/metrics").text


def test_space_that_is_kept_free_is_waited_for(small_disk: Any, launch: Callable[..., Any]) -> None:
    server = launch(start=False)
    disk = small_disk(server.data_dir, "size=40m")
    server.start(environ={FREE: str(8 * MIB)})
    assert server.run("ok")["status"] == "COMPLETED"
    disk.fill(but_bytes=6 * MIB)
    job = server.submit("ok")["job_id"]
    until_blocked(server, "less than 8 MiB are free")
    why = server.get(f"/jobs/{job}/explain")
    assert [reason["code"] for reason in why["waiting"]] == ["host"]
    assert "less than 8 MiB are free" in why["message"]
    shown = subprocess.run(
        [server.command, "scheduler", "status", "--url", server.url],
        capture_output=True,
        text=True,
        timeout=server.deadline_s,
    )
    assert "less than 8 MiB are free" in shown.stdout
    assert server.job(job)["status"] == "QUEUED"
    disk.free()
    assert server.until(job)["status"] == "COMPLETED"
    until_fit(server)
    assert server.log().count("starts wait for the host") == 1
