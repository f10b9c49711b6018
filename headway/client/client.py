"""The HTTP API as typed Python calls: one method per request, the models of `storage` back.

Invariant: a call that returns was answered by headway; every other end is an `ApiError` (it said
no) or a `ServerUnreachable`. How requests travel and when they are repeated is in `transport.py`;
what a person sees of all this is in `jobs.py`.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote
from uuid import uuid4

import httpx

from headway.client.log_reader import LogLine, LogReader, timed_lines
from headway.client.transport import (
    A,
    ApiError,
    Connection,
    ServerEvent,
    ServerUnreachable,
    segment,
)
from headway.model.artifact import Artifact, ArtifactList
from headway.model.event import EventFilter
from headway.model.explanation import Explanation
from headway.model.health import Health, Ready
from headway.model.history import History
from headway.model.job import (
    TERMINAL,
    BatchAnswer,
    BatchItem,
    Job,
    JobChanges,
    JobPage,
    JobQuery,
    ListedJob,
    NewJob,
)
from headway.model.job_type import JobTypeList, JobTypeView, Preview
from headway.model.reservation import Reservation, ReservationList
from headway.model.run import DirectRun, JobRun, RunList
from headway.model.scheduler import SchedulerConfig, SchedulerStatus

__all__ = ["ApiError", "Client", "JobPage", "JobTypeView", "ServerEvent", "ServerUnreachable"]

PAGE_LIMIT = 500
"""The largest page that the server gives."""
POLL_S = 0.3
"""Between two looks at a Job, only on a server that refuses its event stream."""


def new_key() -> str:
    """A fresh `Idempotency-Key`."""
    return str(uuid4())


class Client:
    """Calls to the server at `url`; use it in a `with`, from one thread.

    Raises ValueError for a `url` that is not http or https.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = Connection(url, transport=transport, sleep=sleep)
        self._ask = self._connection.ask
        self.url = self._connection.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    # Jobs

    def submit(
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
        """Queue one Job. With `wait_s` (at most 60) the answer waits that long for its end."""
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
        return self._ask(
            Job, "POST", "/jobs", body=body, headers=headers, wait_s=wait_s or 0, repeatable=True
        )

    def submit_batch(self, jobs: Sequence[NewJob]) -> list[BatchItem]:
        """Queue up to 10,000 Jobs, all or none; the answer keeps their order."""
        body = {"jobs": [job.model_dump(mode="json", exclude_unset=True) for job in jobs]}
        headers = {"Idempotency-Key": new_key()}
        return self._ask(
            BatchAnswer, "POST", "/jobs/batch", body=body, headers=headers, repeatable=True
        ).jobs

    def list_page(
        self, *, limit: int = 50, cursor: str | None = None, **filters: Unpack[JobQuery]
    ) -> JobPage:
        """One page of at most `limit` (1..500) Jobs; `cursor` is the page before's next_cursor."""
        query = {"limit": limit, "cursor": cursor, **filters}
        return self._ask(JobPage, "GET", "/jobs", query=query)

    def list_pages(
        self, *, limit: int | None = None, **filters: Unpack[JobQuery]
    ) -> Iterator[JobPage]:
        """Page after page until `limit` Jobs, or all, have been seen; at least one page."""
        left, cursor = limit, None
        while True:
            size = PAGE_LIMIT if left is None else min(left, PAGE_LIMIT)
            page = self.list_page(limit=size, cursor=cursor, **filters)
            yield page
            left = None if left is None else left - len(page.jobs)
            cursor = page.next_cursor
            if cursor is None or left == 0:
                return

    def list_jobs(
        self, *, limit: int | None = None, **filters: Unpack[JobQuery]
    ) -> Iterator[ListedJob]:
        """Every Job that matches, or the first `limit`, fetched page by page as they are taken."""
        for page in self.list_pages(limit=limit, **filters):
            yield from page.jobs

    def get_job(self, job_id: str) -> Job:
        """The Job as it is now."""
        return self._ask(Job, "GET", f"/jobs/{segment(job_id)}")

    def explain(self, job_id: str) -> Explanation:
        """Why the Job does not run, its place, and when it will probably start or end."""
        return self._ask(Explanation, "GET", f"/jobs/{segment(job_id)}/explain")

    def patch_job(
        self, job_id: str, *, if_version: int | None = None, **changes: Unpack[JobChanges]
    ) -> Job:
        """Change a QUEUED Job; with `if_version` only if that is still its `version`."""
        headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
        path = f"/jobs/{segment(job_id)}"
        return self._ask(Job, "PATCH", path, body=changes, headers=headers)

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a QUEUED Job, or ask a RUNNING one to end; the answer may still say RUNNING."""
        # Idempotent by contract, so it may be repeated.
        return self._ask(Job, "POST", f"/jobs/{segment(job_id)}/cancel", repeatable=True)

    def delete_job(self, job_id: str) -> Job:
        """Cancel a Job that is still QUEUED; refused (`wrong_state`) once it has started."""
        return self._ask(Job, "DELETE", f"/jobs/{segment(job_id)}")

    def retry_job(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new Job like this ended one; its `retry_of` names the old one.

        With a key it is asked again when the connection breaks, and makes one Job all the same.
        """
        path = f"/jobs/{segment(job_id)}/retry"
        return self._create(Job, path, None, idempotency_key)

    def watch(self, job_id: str) -> Iterator[Job]:
        """The Job now and after each change, up to and with the state in which it ended.

        Fed by the event stream, so nothing is polled unless the server refuses that stream.
        """
        stale = True
        try:
            with closing(self.events(job_id)) as stream:
                for event in stream:
                    stale = stale or event.name != "comment"
                    if not stale or (job := self._look(job_id)) is None:
                        continue
                    stale = False
                    yield job
                    if job.status in TERMINAL:
                        return
        except ApiError as refusal:
            if refusal.status >= 500:
                raise
        while True:
            job = self.get_job(job_id)
            yield job
            if job.status in TERMINAL:
                return
            self._connection.sleep(POLL_S)

    def _look(self, job_id: str) -> Job | None:
        """The Job, or None from a server that is just restarting: the stream is patient with it."""
        try:
            return self.get_job(job_id)
        except ServerUnreachable:
            return None
        except ApiError as refusal:
            if refusal.status == 503:
                return None
            raise

    def runs(self, job_id: str) -> list[JobRun]:
        """The Job's run, or an empty list while there is none."""
        return self._ask(RunList, "GET", f"/jobs/{segment(job_id)}/runs").runs

    def log(
        self, job_id: str, *, start: int = 0, end: int | None = None, tail: int | None = None
    ) -> Iterator[bytes]:
        """The run's output so far, byte for byte, from byte `start` to before byte `end`.

        With `tail` instead: from the first line of its last so many bytes.
        """
        reader = LogReader(self._connection, job_id)
        if tail is None:
            return reader.read(start, end)
        return (part.data for part in reader.read_parts(tail))

    def follow_log(self, job_id: str, *, tail: int | None = None) -> Iterator[bytes]:
        """The run's output as it comes, from its first byte (or `tail`) to the end of the run."""
        return (part.data for part in LogReader(self._connection, job_id).follow(tail))

    def log_lines(
        self, job_id: str, *, follow: bool = False, tail: int | None = None
    ) -> Iterator[LogLine]:
        """The same line by line, with the moment at which each was written.

        While a run goes on whose middle was dropped, lines behind the gap have an earlier moment.
        """
        reader = LogReader(self._connection, job_id)
        # The stream of a run that has ended counts in the log itself, as the times do.
        is_over = self.get_job(job_id).status in TERMINAL
        parts = reader.follow(tail) if follow or is_over else reader.read_parts(tail)
        return timed_lines(parts, reader.times())

    def artifacts(self, job_id: str, *, wait_s: int | None = None) -> list[Artifact]:
        """What the run left in HEADWAY_ARTIFACTS.

        With `wait_s` (at most 60) the answer waits that long for the end of the Job, and until all
        is collected. `runs` tells whether it is.
        """
        path = f"/jobs/{segment(job_id)}/artifacts"
        headers = {} if wait_s is None else {"Prefer": f"wait={wait_s}"}
        return self._ask(ArtifactList, "GET", path, headers=headers, wait_s=wait_s or 0).artifacts

    def artifact(self, job_id: str, name: str) -> Iterator[bytes]:
        """The bytes of one artifact; `name` may hold slashes."""
        headers = {"Accept": "*/*"}
        return self._connection.download(
            f"/jobs/{segment(job_id)}/artifacts/" + quote(name, safe="/"), headers
        )

    # Scheduler

    def scheduler_start(self) -> SchedulerStatus:
        """Let queued Jobs start."""
        return self._ask(SchedulerStatus, "POST", "/scheduler/start", repeatable=True)

    def scheduler_stop(self, wait_s: float = 0) -> SchedulerStatus:
        """Start nothing new; what runs goes on. Waits at most `wait_s` (0..300) until idle."""
        body = {"wait_s": wait_s}
        return self._ask(
            SchedulerStatus,
            "POST",
            "/scheduler/stop",
            body=body,
            wait_s=wait_s,
            repeatable=True,
        )

    def scheduler_status(self) -> SchedulerStatus:
        """The scheduler at this moment."""
        return self._ask(SchedulerStatus, "GET", "/scheduler/status")

    def scheduler_history(self, span: str = "hour") -> History:
        """Queue length, outcomes and times over the last `span`: hour, day or week."""
        return self._ask(History, "GET", "/scheduler/history", query={"span": span})

    def scheduler_config(self, **changes: Any) -> SchedulerConfig:
        """The limits in force, after `changes` (`concurrency=2`, `types={"story": 1}`) if any."""
        if not changes:
            return self._ask(SchedulerConfig, "GET", "/scheduler/config")
        return self._ask(
            SchedulerConfig, "PATCH", "/scheduler/config", body=changes, repeatable=True
        )

    def direct(self, type: str, params: Mapping[str, Any] | None = None) -> DirectRun:
        """Run ahead of the queue and wait for the end, however long that takes."""
        path = f"/direct/{segment(type)}"
        return self._ask(DirectRun, "POST", path, body={"params": params or {}}, wait_s=None)

    def reserve(self, ttl_s: float, *, idempotency_key: str | None = None) -> Reservation:
        """Claim the next free slot; `ttl_s` counts from the moment it is held.

        With a key it is asked again when the connection breaks, and makes one claim all the same.
        """
        body = {"ttl_s": ttl_s}
        return self._create(Reservation, "/scheduler/reservations", body, idempotency_key)

    def _create(
        self, answer: type[A], path: str, body: Mapping[str, Any] | None, key: str | None
    ) -> A:
        headers = {} if key is None else {"Idempotency-Key": key}
        repeatable = key is not None
        return self._ask(answer, "POST", path, body=body, headers=headers, repeatable=repeatable)

    def reservations(self) -> list[Reservation]:
        """Claims that wait or are held, in their order."""
        return self._ask(ReservationList, "GET", "/scheduler/reservations").reservations

    def get_reservation(self, reservation_id: str) -> Reservation:
        """One reservation, also one that has ended."""
        path = f"/scheduler/reservations/{segment(reservation_id)}"
        return self._ask(Reservation, "GET", path)

    def release(self, reservation_id: str) -> Reservation:
        """Give a reservation back."""
        path = f"/scheduler/reservations/{segment(reservation_id)}"
        return self._ask(Reservation, "DELETE", path, repeatable=True)

    def release_all(self) -> list[Reservation]:
        """Give back every reservation that is open, and return them; direct runs keep theirs."""
        path = "/scheduler/reservations"
        return self._ask(ReservationList, "DELETE", path, repeatable=True).reservations

    # System

    def job_types(self) -> list[JobTypeView]:
        """What may be run."""
        return self._ask(JobTypeList, "GET", "/job-types").job_types

    def job_type(self, name: str) -> JobTypeView:
        """One job type, with the JSON Schema of its parameters."""
        return self._ask(JobTypeView, "GET", f"/job-types/{segment(name)}")

    def preview(self, type: str, params: Mapping[str, Any] | None = None) -> Preview:
        """The exact command line that `params` would make; refused as `submit` would be."""
        path = f"/job-types/{segment(type)}/preview"
        body = {"params": params or {}}
        return self._ask(Preview, "POST", path, body=body, repeatable=True)

    def health(self) -> Health:
        """The process answers."""
        return self._ask(Health, "GET", "/health")

    def ready(self) -> Ready:
        """The server takes work; ApiError (503) with the reason while it does not."""
        return self._ask(Ready, "GET", "/ready")

    def events(
        self, job_id: str | None = None, *, after: int | None = None, **only: Unpack[EventFilter]
    ) -> Generator[ServerEvent, None, None]:
        """Every committed event that is wanted, without end; close the iterator to stop.

        Without `after` from now. An event `reset` says that events are missing: ask for the state
        anew. Cut off, it goes on by itself behind the last event.
        """
        query: dict[str, Any] = {"job_id": job_id, "after": after, **only}
        given = {name: value for name, value in query.items() if value is not None}
        return self._connection.stream("/events", given)
