"""The scheduler through the client."""

from typing import Any

from headway.client.session import RESPONSE_TIMEOUT_S
from tests.headway.client.scripted import (
    Server,
)


def test_scheduler_stop_waits_as_long_as_its_request() -> None:
    status: dict[str, Any] = {
        "scheduler_running": False,
        "current_job_id": None,
        "running_job_ids": [],
        "queue_length": 0,
        "eligible": 0,
        "deferred": 0,
        "cumulative_stats": {
            "total_executed": 0,
            "succeeded": 0,
            "failed": 0,
            "cancelled": 0,
            "skipped": 0,
        },
        "has_active_reservation": False,
        "concurrency": 1,
        "started_at": "2031-05-01T08:00:00Z",
        "durability": "full",
        "host_condition": None,
    }
    server = Server(status)
    with server.client() as client:
        assert client.scheduler_stop(300).scheduler_running is False
    assert server.body == {"wait_s": 300}
    assert server.last.extensions["timeout"]["read"] == RESPONSE_TIMEOUT_S + 300


def test_config_is_read_or_changed() -> None:
    config = {"concurrency": 2, "types": {"story": None}, "overridden": []}
    server = Server(config, config)
    with server.client() as client:
        client.scheduler_config()
        client.scheduler_config(concurrency=2)
    assert [request.method for request in server.requests] == ["GET", "PATCH"]
    assert server.body == {"concurrency": 2}
