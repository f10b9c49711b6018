"""Direct runs: run a job type now, ahead of the queue."""

from collections.abc import Mapping
from typing import Any

from headway.client.blocking import BlockingOperations, blocking
from headway.client.operations import Operations
from headway.client.session import segment
from headway.model.run import DirectRun


class DirectOperations(Operations):
    """Asynchronous operations that run ahead of the queue."""

    async def direct(self, type: str, params: Mapping[str, Any] | None = None) -> DirectRun:
        """Run ahead of the queue and wait for the end, however long that takes."""
        path = f"/direct/{segment(type)}"
        body = {"params": params or {}}
        return await self._session.ask(DirectRun, "POST", path, body=body, wait_s=None)


class BlockingDirectOperations(BlockingOperations):
    """The same, blocking."""

    direct = blocking(DirectOperations.direct)
