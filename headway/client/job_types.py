"""Job types: what may be run, and the command line that params would make."""

from collections.abc import Mapping
from typing import Any

from headway.client.blocking import BlockingOperations, blocking
from headway.client.operations import Operations
from headway.client.session import segment
from headway.model.job_type import JobTypeList, JobTypeView, Preview


class JobTypeOperations(Operations):
    """Asynchronous operations on job types."""

    async def job_types(self) -> list[JobTypeView]:
        """Every job type that is configured."""
        return (await self._session.ask(JobTypeList, "GET", "/job-types")).job_types

    async def job_type(self, name: str) -> JobTypeView:
        """One job type, with the JSON Schema of its parameters."""
        return await self._session.ask(JobTypeView, "GET", f"/job-types/{segment(name)}")

    async def preview(self, type: str, params: Mapping[str, Any] | None = None) -> Preview:
        """The exact command line that `params` would make; rejected as `submit` would be."""
        path = f"/job-types/{segment(type)}/preview"
        body = {"params": params or {}}
        return await self._session.ask(Preview, "POST", path, body=body, repeatable=True)


class BlockingJobTypeOperations(BlockingOperations):
    """The same, blocking."""

    job_types = blocking(JobTypeOperations.job_types)
    job_type = blocking(JobTypeOperations.job_type)
    preview = blocking(JobTypeOperations.preview)
