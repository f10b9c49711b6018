"""The scheduler: start, stop, state, limits, measured times."""

from typing import Any

from headway.client.blocking import BlockingOperations, blocking
from headway.client.operations import Operations
from headway.model.history import History
from headway.model.scheduler import Metrics, SchedulerConfig, SchedulerStatus


class SchedulerOperations(Operations):
    """Asynchronous operations on the scheduler."""

    async def scheduler_start(self) -> SchedulerStatus:
        """Let queued Jobs start."""
        path = "/scheduler/start"
        return await self._session.ask(SchedulerStatus, "POST", path, repeatable=True)

    async def scheduler_stop(self, wait_s: float = 0) -> SchedulerStatus:
        """Start no more Jobs; running ones continue. Waits at most `wait_s` (0..300) until idle."""
        return await self._session.ask(
            SchedulerStatus,
            "POST",
            "/scheduler/stop",
            body={"wait_s": wait_s},
            wait_s=wait_s,
            repeatable=True,
        )

    async def scheduler_status(self) -> SchedulerStatus:
        """The scheduler at this moment."""
        return await self._session.ask(SchedulerStatus, "GET", "/scheduler/status")

    async def scheduler_history(self, span: str = "hour") -> History:
        """Queue length, outcomes and times over the last `span`: hour, day or week."""
        return await self._session.ask(History, "GET", "/scheduler/history", query={"span": span})

    async def scheduler_metrics(self) -> Metrics:
        """Wait and run times of each type at p50, p95 and p99."""
        return await self._session.ask(Metrics, "GET", "/scheduler/metrics")

    async def scheduler_config(self, /, **changes: Any) -> SchedulerConfig:
        """The limits in force, after `changes` (`concurrency=2`, `types={"story": 1}`) if any."""
        path = "/scheduler/config"
        if not changes:
            return await self._session.ask(SchedulerConfig, "GET", path)
        return await self._session.ask(
            SchedulerConfig, "PATCH", path, body=changes, repeatable=True
        )


class BlockingSchedulerOperations(BlockingOperations):
    """The same, blocking."""

    scheduler_start = blocking(SchedulerOperations.scheduler_start)
    scheduler_stop = blocking(SchedulerOperations.scheduler_stop)
    scheduler_status = blocking(SchedulerOperations.scheduler_status)
    scheduler_history = blocking(SchedulerOperations.scheduler_history)
    scheduler_metrics = blocking(SchedulerOperations.scheduler_metrics)
    scheduler_config = blocking(SchedulerOperations.scheduler_config)
