"""Artifacts: the files that a run has left."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

from headway.client.blocking import BlockingOperations, blocking, iterating
from headway.client.operations import Operations
from headway.client.session import segment
from headway.model.artifact import Artifact, ArtifactList


class ArtifactOperations(Operations):
    """Asynchronous operations on artifacts."""

    async def artifacts(self, job_id: str, *, wait_s: int | None = None) -> list[Artifact]:
        """What the run left in HEADWAY_ARTIFACTS.

        With `wait_s` (at most 60) the server waits that long for the end of the Job, and until all
        is collected. The run's `collection` (see `runs`) says whether it is.
        """
        path = f"/jobs/{segment(job_id)}/artifacts"
        headers = {} if wait_s is None else {"Prefer": f"wait={wait_s}"}
        found = await self._session.ask(
            ArtifactList, "GET", path, headers=headers, wait_s=wait_s or 0
        )
        return found.artifacts

    async def artifact(self, job_id: str, name: str) -> AsyncGenerator[bytes, None]:
        """The bytes of one artifact; `name` may contain slashes."""
        path = f"/jobs/{segment(job_id)}/artifacts/" + quote(name, safe="/")
        async with aclosing(self._session.download(path, {"Accept": "*/*"})) as chunks:
            async for chunk in chunks:
                yield chunk


class BlockingArtifactOperations(BlockingOperations):
    """The same, blocking."""

    artifacts = blocking(ArtifactOperations.artifacts)
    artifact = iterating(ArtifactOperations.artifact)
