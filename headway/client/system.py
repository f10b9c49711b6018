"""The server itself: its health."""

from headway.client.blocking import BlockingOperations, blocking
from headway.client.operations import Operations
from headway.model.health import Health, Ready


class SystemOperations(Operations):
    """Asynchronous operations on the server itself."""

    async def health(self) -> Health:
        """Whether the server process answers, and its version."""
        return await self._session.ask(Health, "GET", "/health")

    async def ready(self) -> Ready:
        """Whether the server accepts work; ApiError (503) with the reason while it does not."""
        return await self._session.ask(Ready, "GET", "/ready")


class BlockingSystemOperations(BlockingOperations):
    """The same, blocking."""

    health = blocking(SystemOperations.health)
    ready = blocking(SystemOperations.ready)
