"""The HTTP API as typed Python calls: `Client` blocks, `AsyncClient` is awaited.

Invariant: both have the same methods, defined once in the modules of the nouns, such as `jobs.py`.
A call that returns was answered by headway; every other end is an `ApiError` (the server rejected
the request) or a `ServerUnreachable`. How requests are sent and repeated is in `session.py`.
"""

import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import httpx

from headway.client.artifacts import ArtifactOperations, BlockingArtifactOperations
from headway.client.blocking import run
from headway.client.direct import BlockingDirectOperations, DirectOperations
from headway.client.events import BlockingEventOperations, EventOperations
from headway.client.job_types import BlockingJobTypeOperations, JobTypeOperations
from headway.client.jobs import BlockingJobOperations, JobOperations
from headway.client.logs import BlockingLogOperations, LogOperations
from headway.client.reservations import BlockingReservationOperations, ReservationOperations
from headway.client.scheduler import BlockingSchedulerOperations, SchedulerOperations
from headway.client.session import Session, checked_url
from headway.client.system import BlockingSystemOperations, SystemOperations
from headway.client.transport import AsyncTransport, BlockingTransport


class AllOperations(
    JobOperations,
    LogOperations,
    ArtifactOperations,
    DirectOperations,
    SchedulerOperations,
    ReservationOperations,
    JobTypeOperations,
    EventOperations,
    SystemOperations,
):
    """Every operation of the API, over any session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.url = session.url


class AsyncClient(AllOperations):
    """Asynchronous calls to the server at `url`, on trio or asyncio; use it in an `async with`.

    Tasks may share it. Raises ValueError for a `url` that is not http or https.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        url = checked_url(url)
        http = httpx.AsyncClient(**_settings(url), transport=transport)
        super().__init__(Session(url, AsyncTransport(http, sleep)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.transport.close()


class Client(
    BlockingJobOperations,
    BlockingLogOperations,
    BlockingArtifactOperations,
    BlockingDirectOperations,
    BlockingSchedulerOperations,
    BlockingReservationOperations,
    BlockingJobTypeOperations,
    BlockingEventOperations,
    BlockingSystemOperations,
):
    """Blocking calls to the server at `url`; use it in a `with`, from one thread.

    Raises ValueError for a `url` that is not http or https.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = checked_url(url)
        http = httpx.Client(**_settings(self.url), transport=transport)
        self._session = Session(self.url, BlockingTransport(http, sleep))
        self._operations = AllOperations(self._session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run(self._session.transport.close())


def _settings(url: str) -> dict[str, Any]:
    """What both clients of httpx share.

    Proxies of the environment are ignored: the server is on this machine, or named on purpose.
    """
    # Loading the certificate store takes 0.2 s, more than all the rest of a short command.
    return {"base_url": url, "verify": url.startswith("https:"), "trust_env": False}
