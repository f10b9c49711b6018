"""Both clients of `headway` against a real server."""

import gc
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from headway import ApiError, AsyncClient, Client, Job, JobStatus
from headway.model.artifact import ArtifactList
from headway.model.event import EventView
from headway.model.explanation import Explanation
from headway.model.field import Model
from headway.model.health import Health, Ready
from headway.model.history import History
from headway.model.job import JobPage
from headway.model.job_type import JobTypeList, JobTypeView
from headway.model.log import LogTimeList
from headway.model.reservation import ReservationList
from headway.model.run import RunList
from headway.model.scheduler import Metrics, SchedulerConfig, SchedulerStatus
from tests.contract.conftest import TEST_DEADLINE_S
from tests.contract.server import Server
from tests.gate import Gate

Use = Callable[[AsyncClient], Awaitable[Any]]
BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


def play(server: Server, backend: str, use: Use) -> None:
    """Run a function with an asynchronous client; whatever it leaves behind fails the test."""

    async def main() -> None:
        with anyio.fail_after(TEST_DEADLINE_S):
            async with AsyncClient(server.url) as client:
                await use(client)

    anyio.run(main, backend=backend)
    gc.collect()


def test_a_job_is_followed_to_its_end_by_a_thread(server: Server, gate: Gate) -> None:
    with Client(server.url) as client:
        job = client.submit("gate", {"path": gate.path})
        states = client.watch(job.job_id)
        assert next(states).status in (JobStatus.QUEUED, JobStatus.RUNNING)
        log = client.follow_log(job.job_id)
        assert next(log) == b"opened\n"
        gate.open()
        assert b"".join(log).endswith(b"closed\n")
        assert [state.status for state in states][-1] == JobStatus.COMPLETED
        assert client.wait_job(job.job_id).version == client.get_job(job.job_id).version
        lines = [line.line for line in client.log_lines(job.job_id)]
        assert (lines[0], lines[-1]) == (b"opened\n", b"closed\n")


@BACKENDS
def test_a_job_is_followed_to_its_end_by_a_task(server: Server, gate: Gate, backend: str) -> None:
    async def use(client: AsyncClient) -> None:
        job = await client.submit("gate", {"path": gate.path})
        statuses, log = [], []

        async def watch() -> None:
            async for state in client.watch(job.job_id):
                statuses.append(state.status)

        async def follow() -> None:
            async with aclosing(client.follow_log(job.job_id)) as pieces:
                async for piece in pieces:
                    if piece.startswith(b"opened"):
                        gate.open()
                    log.append(piece)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            tasks.start_soon(follow)
        assert statuses[-1] == JobStatus.COMPLETED
        assert b"".join(log).endswith(b"closed\n")
        (run,) = await client.runs(job.job_id)
        assert run.job_id == job.job_id

    play(server, backend, use)


@BACKENDS
def test_a_task_that_leaves_a_stream_leaves_nothing_behind(server: Server, backend: str) -> None:
    async def use(client: AsyncClient) -> None:
        async with aclosing(client.events()) as events:
            async for event in events:
                if event.id is not None:
                    break
        assert (await client.health()).status == "ok"
        with anyio.CancelScope() as scope:
            async for event in client.events():
                if event.id is not None:
                    scope.cancel()
        assert scope.cancelled_caught
        assert (await client.ready()).status == "ready"

    play(server, backend, use)


def test_an_event_is_what_the_contract_says(server: Server) -> None:
    with Client(server.url) as client:
        job = client.submit("ok", wait_s=30)
        for event in client.events(job.job_id, after=0, kind=["run."]):
            if event.name == "run.finished":
                break
        parsed = EventView.model_validate_json(event.data)  # and nothing else
        assert parsed == event.parsed()
        assert (parsed.kind, parsed.job_id) == (event.name, job.job_id)
        assert str(parsed.seq) == event.id


@BACKENDS
def test_artifacts_come_as_they_were_left(server: Server, backend: str) -> None:
    async def use(client: AsyncClient) -> None:
        job = await client.submit("artifacts", wait_s=30)
        names = {each.name for each in await client.artifacts(job.job_id, wait_s=30)}
        assert "deep/er/odd name é.json" in names
        chunks = [chunk async for chunk in client.artifact(job.job_id, "plain.txt")]
        assert b"".join(chunks) == b"hello"
        with pytest.raises(ApiError) as caught:
            await anext(client.artifact(job.job_id, "none"))
        assert caught.value.code == "not_found"

    play(server, backend, use)


def test_no_response_has_a_field_that_the_contract_lacks(server: Server) -> None:
    """Some bodies are put together as bytes, which no model checks when they are sent."""
    with Client(server.url) as client:
        job_id = client.submit("artifacts", wait_s=30).job_id
        client.artifacts(job_id, wait_s=30)
    job = f"/jobs/{job_id}"
    responses: dict[str, type[Model]] = {
        "/jobs": JobPage,
        job: Job,
        f"{job}/runs": RunList,
        f"{job}/artifacts": ArtifactList,
        f"{job}/explain": Explanation,
        f"{job}/log/times": LogTimeList,
        "/job-types": JobTypeList,
        "/job-types/artifacts": JobTypeView,
        "/scheduler/status": SchedulerStatus,
        "/scheduler/config": SchedulerConfig,
        "/scheduler/metrics": Metrics,
        "/scheduler/history": History,
        "/scheduler/reservations": ReservationList,
        "/health": Health,
        "/ready": Ready,
    }
    for path, model in responses.items():
        model.model_validate_json(server.client.get(path).content)  # it rejects unknown fields


def test_every_read_of_a_real_server_is_understood(server: Server) -> None:
    with Client(server.url) as client:
        assert client.job_type("echo").kill_grace_s > 0
        assert {each.name for each in client.job_types()} >= {"echo", "gate"}
        assert client.preview("echo", {"count": 2}).params["count"] == 2
        assert client.scheduler_status().scheduler_running
        assert client.scheduler_config().concurrency >= 1
        assert client.scheduler_history().step_s == 60
        assert client.scheduler_metrics().types is not None
        assert client.direct("ok").status == "COMPLETED"
        held = client.reserve(30)
        assert held.reservation_id in {each.reservation_id for each in client.reservations()}
        assert client.release(held.reservation_id).state == "ENDED"
