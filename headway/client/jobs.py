"""Jobs, and the run of each: submit, list, inspect, change, cancel, retry, wait."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Unpack

from headway.client.blocking import BlockingOperations, blocking, iterating
from headway.client.error import ApiError, ServerUnreachable
from headway.client.operations import Operations
from headway.client.session import new_key, segment
from headway.model.explanation import Explanation
from headway.model.job import (
    TERMINAL,
    BatchItem,
    BatchResponse,
    Job,
    JobChanges,
    JobPage,
    JobQuery,
    ListedJob,
    NewJob,
)
from headway.model.run import JobRun, RunList

PAGE_LIMIT = 500
"""The largest page that the server returns."""
POLL_S = 0.3
"""Between two requests for a Job, only on a server that rejects its event stream."""


class JobOperations(Operations):
    """Asynchronous operations on Jobs."""

    async def submit(
        self,
        type: str,
        params: Mapping[str, Any] | None = None,
        *,
        priority: int = 0,
        run_at: datetime | None = None,
        expires_at: datetime | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Job:
        """Queue one Job. With `wait_s` (at most 60) the server waits that long for its end."""
        body = {
            "type": type,
            "params": params or {},
            "priority": priority,
            "run_at": run_at,
            "expires_at": expires_at,
            "name": name,
            "labels": labels or {},
            "timeout_s": timeout_s,
        }
        headers = {"Idempotency-Key": idempotency_key or new_key()}
        if wait_s is not None:
            headers["Prefer"] = f"wait={wait_s}"
        return await self._session.ask(
            Job, "POST", "/jobs", body=body, headers=headers, wait_s=wait_s or 0, repeatable=True
        )

    async def submit_batch(self, jobs: Sequence[NewJob]) -> list[BatchItem]:
        """Queue up to 10,000 Jobs, all or none; the result keeps their order."""
        body = {"jobs": [job.model_dump(mode="json", exclude_unset=True) for job in jobs]}
        return (await self._create(BatchResponse, "/jobs/batch", body, new_key())).jobs

    async def list_page(
        self, *, limit: int = 50, cursor: str | None = None, **filters: Unpack[JobQuery]
    ) -> JobPage:
        """One page of at most `limit` (1..500) Jobs; `cursor` is `next_cursor` of the last."""
        query = {"limit": limit, "cursor": cursor, **filters}
        return await self._session.ask(JobPage, "GET", "/jobs", query=query)

    async def list_pages(
        self, *, limit: int | None = None, **filters: Unpack[JobQuery]
    ) -> AsyncGenerator[JobPage, None]:
        """Page after page until `limit` Jobs, or all, have been returned; at least one page."""
        left, cursor = limit, None
        while True:
            size = PAGE_LIMIT if left is None else min(left, PAGE_LIMIT)
            page = await self.list_page(limit=size, cursor=cursor, **filters)
            yield page
            left = None if left is None else left - len(page.jobs)
            cursor = page.next_cursor
            if cursor is None or left == 0:
                return

    async def list_jobs(
        self, *, limit: int | None = None, **filters: Unpack[JobQuery]
    ) -> AsyncGenerator[ListedJob, None]:
        """Every Job that matches, or the first `limit`, requested page by page as needed."""
        async with aclosing(self.list_pages(limit=limit, **filters)) as pages:
            async for page in pages:
                for job in page.jobs:
                    yield job

    async def get_job(self, job_id: str) -> Job:
        """The Job as it is now."""
        return await self._session.ask(Job, "GET", f"/jobs/{segment(job_id)}")

    async def explain(self, job_id: str) -> Explanation:
        """Why the Job does not run, its position, and when it will probably start or end."""
        return await self._session.ask(Explanation, "GET", f"/jobs/{segment(job_id)}/explain")

    async def patch_job(
        self, job_id: str, *, if_version: int | None = None, **changes: Unpack[JobChanges]
    ) -> Job:
        """Change a QUEUED Job; with `if_version` only if that is still its `version`."""
        headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
        path = f"/jobs/{segment(job_id)}"
        return await self._session.ask(Job, "PATCH", path, body=changes, headers=headers)

    async def cancel_job(self, job_id: str) -> Job:
        """Cancel a QUEUED Job, or end a RUNNING one; the returned Job may still be RUNNING."""
        # Idempotent by contract, so it may be repeated.
        path = f"/jobs/{segment(job_id)}/cancel"
        return await self._session.ask(Job, "POST", path, repeatable=True)

    async def delete_job(self, job_id: str) -> Job:
        """Cancel a Job that is still QUEUED; rejected (`wrong_state`) once it has started."""
        return await self._session.ask(Job, "DELETE", f"/jobs/{segment(job_id)}")

    async def retry_job(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new Job like this ended one; its `retry_of` names the old one.

        With a key the request is repeated when the connection breaks, and still makes one Job.
        """
        path = f"/jobs/{segment(job_id)}/retry"
        return await self._create(Job, path, None, idempotency_key)

    async def runs(self, job_id: str) -> list[JobRun]:
        """The Job's run, or an empty list while there is none."""
        path = f"/jobs/{segment(job_id)}/runs"
        return (await self._session.ask(RunList, "GET", path)).runs

    async def wait_job(self, job_id: str) -> Job:
        """Wait for the end of the Job, however long that takes; the Job as it ended."""
        async with aclosing(self.watch(job_id)) as states:
            async for job in states:
                if job.status in TERMINAL:
                    return job
        raise AssertionError("watch ends with a terminal status")

    async def watch(self, job_id: str) -> AsyncGenerator[Job, None]:
        """The Job now and after each change, up to and with the state in which it ended.

        Driven by the event stream; nothing is polled unless the server rejects that stream.
        """
        stale = True
        try:
            events = self._session.stream("/events", {"job_id": job_id})
            async with aclosing(events):
                async for event in events:
                    stale = stale or event.name != "comment"
                    if not stale or (job := await self._look(job_id)) is None:
                        continue
                    stale = False
                    yield job
                    if job.status in TERMINAL:
                        return
        except ApiError as error:
            if error.status >= 500:
                raise
        while True:
            job = await self.get_job(job_id)
            yield job
            if job.status in TERMINAL:
                return
            await self._session.transport.sleep(POLL_S)

    async def _look(self, job_id: str) -> Job | None:
        """The Job, or None from a server that is just restarting: the stream waits for it."""
        try:
            return await self.get_job(job_id)
        except ServerUnreachable:
            return None
        except ApiError as error:
            if error.status == 503:
                return None
            raise


class BlockingJobOperations(BlockingOperations):
    """The same, blocking."""

    submit = blocking(JobOperations.submit)
    submit_batch = blocking(JobOperations.submit_batch)
    list_page = blocking(JobOperations.list_page)
    list_pages = iterating(JobOperations.list_pages)
    list_jobs = iterating(JobOperations.list_jobs)
    get_job = blocking(JobOperations.get_job)
    explain = blocking(JobOperations.explain)
    patch_job = blocking(JobOperations.patch_job)
    cancel_job = blocking(JobOperations.cancel_job)
    delete_job = blocking(JobOperations.delete_job)
    retry_job = blocking(JobOperations.retry_job)
    runs = blocking(JobOperations.runs)
    wait_job = blocking(JobOperations.wait_job)
    watch = iterating(JobOperations.watch)
