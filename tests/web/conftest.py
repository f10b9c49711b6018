"""What the tests of the web layer share: the actors without a port, and programs that wait."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from trio.testing import MockClock

from actors import messages as m
from actors.clock import VirtualClock
from actors.host.launch import Launch
from actors.host.shim import ExitRecord
from actors.runner import InlinePool, InlineRunner
from actors.seams import Seams
from config.job_type import JobType
from config.settings import ServerSettings, Settings
from headway.model.job import Job, NewJob
from headway.model.run import Left
from serve import Headway
from storage.runs import NOTHING_LEFT
from web.context import Context


@pytest.fixture(scope="session")
def silent_log() -> None:
    """Drop what a test logs on purpose."""

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    structlog.configure(processors=[drop])


class WaitingProcess:
    """An imagined program that runs until the test ends it."""

    pid = 1001

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self._ended = trio.Event()

    def write(self, data: bytes) -> None:
        with self.launch.log.open("ab") as file:
            file.write(data)

    def end(self, code: int = 0) -> None:
        with self.launch.exit_file.open("a") as file:
            file.write(f"exit {code} {self.launch.seal}\n")
        self._ended.set()

    def age_s(self) -> float:
        return 0.0

    async def wait(self) -> None:
        await self._ended.wait()

    def exit_record(self) -> None: ...

    async def end_rest(self, grace_s: float, hurry: trio.Event) -> Left:
        return NOTHING_LEFT

    def has_log(self, path: Path) -> bool:
        return True

    def save_log(self, path: Path) -> None: ...

    async def drain_output(self) -> None: ...

    def fence(self) -> None: ...

    def terminate(self) -> None:
        self.end(143)

    async def kill(self) -> None:
        self._ended.set()

    def close(self) -> None: ...


class WaitingHost:
    """Imagines programs that wait."""

    boot_id = "boot-1"

    def __init__(self) -> None:
        self.processes: list[WaitingProcess] = []

    def launch(self, launch: Launch) -> WaitingProcess:
        launch.log.touch()
        launch.exit_file.write_text("started 1001\n")
        self.processes.append(WaitingProcess(launch))
        return self.processes[-1]

    def adopt(self, run_id: str, record: ExitRecord, digests: Collection[str] = ()) -> None: ...

    async def sweep(self, run_ids: frozenset[str], grace_s: float, hurry: trio.Event) -> Left:
        return NOTHING_LEFT

    async def output_settled(self, log_file: Path) -> None: ...

    async def run(self) -> None:
        await trio.sleep_forever()


@pytest.fixture
def programs() -> WaitingHost:
    """The programs that run, in `.processes`."""
    return WaitingHost()


@pytest.fixture
def server_settings() -> dict[str, Any]:
    """What a test wants in [server]: override this fixture."""
    return {}


@pytest.fixture
def job_types() -> dict[str, dict[str, Any]]:
    """What a test wants to run: override this fixture."""
    return {"a": {"command": ["a"]}}


@pytest.fixture
async def context(
    tmp_path: Path,
    programs: WaitingHost,
    server_settings: dict[str, Any],
    job_types: dict[str, dict[str, Any]],
    silent_log: None,
    autojump_clock: MockClock,
) -> AsyncIterator[Context]:
    """What handlers ask, with the real actors behind it, on virtual time."""
    settings = Settings(
        server=ServerSettings(data_dir=tmp_path, **server_settings),
        job_types={
            name: JobType.model_validate({"name": name, **table})
            for name, table in job_types.items()
        },
    )
    seams = Seams(
        clock=VirtualClock(),
        random_bytes=random.Random(7).randbytes,
        writer=InlineRunner(),
        readers=(InlineRunner(), InlineRunner()),
        batches=InlineRunner(),
        files=InlinePool(),
        collectors=InlinePool(),
        checker=InlineRunner(),
        host=programs,
        reserve_bytes=0,
    )
    async with Headway(settings, seams, {}).running() as context:
        yield context


@pytest.fixture
def submit(context: Context) -> Callable[..., Awaitable[Job]]:
    """Queue a Job of type a."""

    async def submit(**fields: Any) -> Job:
        new = NewJob(**{"type": "a", **fields})
        (job,) = (await context.ask(m.SubmitJobs(jobs=(new,)))).jobs
        await trio.testing.wait_all_tasks_blocked()
        made: Job = job
        return made

    return submit
