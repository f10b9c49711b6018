"""What is large, or wrong, is checked on a thread; what is small and right is not."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actors.runner import InlineRunner, Stop, T
from config.weight import LIGHT_BYTES_MAX, LIGHT_VALUES_MAX
from headway.model.job import NewJob
from headway.model.problem import Fault, Refusal
from tests.web.test_app import LOCAL, AsgiClient
from web.app import make_app
from web.context import Context
from web.json.size import BODY_BYTES_MAX, VALUES_MAX
from web.resources.acceptance import accepted_batch

JSON = {**LOCAL, "Content-Type": "application/json"}


class NotedRunner(InlineRunner):
    """Counts what is run on it."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self, work: Callable[[], T], stop: Stop | None = None) -> T:
        self.count += 1
        return await super().run(work, stop)


@pytest.fixture
def job_types() -> dict[str, dict[str, Any]]:
    words = {"type": "array", "items": {"type": "string"}, "arg": "--w"}
    return {
        "args": {"command": ["x"], "params": {"words": words}},
        "free": {"command": ["x"], "input": "json", "params": {"any": {}}},
    }


@pytest.fixture
def noted(context: Context) -> Context:
    """A context whose thread for bodies counts."""
    return replace(context, body_runner=NotedRunner())


class Asker:
    def __init__(self, context: Context) -> None:
        self._wire = AsgiClient(make_app(context))
        self._runner: Any = context.body_runner

    async def ask(self, path: str, body: Any, **headers: str) -> tuple[int, Any, int]:
        """Status, answer, and how often the thread for bodies was needed."""
        before = self._runner.count
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = await self._wire.ask("POST", path, {**JSON, **headers}, data)
        return status, json.loads(answer), self._runner.count - before


@pytest.fixture
def asker(noted: Context) -> Asker:
    return Asker(noted)


PATHS: dict[str, Callable[[str, Any], Any]] = {
    "/jobs": lambda type, params: {"type": type, "params": params},
    "/job-types/{}/preview": lambda type, params: {"params": params},
    "/jobs/{}/trigger": lambda type, params: params,
}


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_small_and_right_needs_no_thread(asker: Asker, path: str) -> None:
    body = PATHS[path]("args", {"words": ["a", "b"]})
    status, _, times = await asker.ask(path.format("args"), body)
    assert (status // 100, times) == (2, 0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "params",
    [{"any": "x" * LIGHT_BYTES_MAX}, {"any": [1] * LIGHT_VALUES_MAX}],
    ids=["bytes", "values"],
)
async def test_what_is_large_is_read_and_checked_on_a_thread(
    asker: Asker, path: str, params: Any
) -> None:
    status, _, times = await asker.ask(path.format("free"), PATHS[path]("free", params))
    assert status // 100 == 2
    assert times >= 2  # to read it, and to check it


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_wrong_is_explained_on_a_thread(asker: Asker, path: str) -> None:
    body = PATHS[path]("args", {"words": ["a", 1]})
    status, problem, times = await asker.ask(path.format("args"), body)
    assert (status, problem["code"], times) == (422, "invalid", 1)
    assert problem["errors"][0]["pointer"].endswith("/words/1")


@pytest.mark.parametrize("path", [*PATHS, "/direct/{}", "/scheduler/stop"])
@pytest.mark.parametrize("size", [VALUES_MAX + 1, 500_000, 7_000_000])
async def test_a_million_values_are_refused_before_they_are_parsed(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, path: str, size: int
) -> None:
    monkeypatch.setattr("web.api.routes.parse", lambda body: pytest.fail("it was parsed"))
    body = b'{"type":"args","params":{"words":[' + b"1," * size + b"1]}}"
    status, problem, _ = await asker.ask(path.format("args"), body)
    assert (status, problem["code"]) == (413, "too_large")


async def test_a_batch_may_be_larger(asker: Asker) -> None:
    padding = b" " * BODY_BYTES_MAX
    job = b'{"type":"args","params":{}}'
    status, _, _ = await asker.ask("/jobs/batch", b'{"jobs":[' + job + padding + b"]}")
    assert status == 201


async def test_the_key_of_a_large_body_is_made_on_a_thread(asker: Asker) -> None:
    body = {"type": "free", "params": {"any": "x" * LIGHT_BYTES_MAX}}
    _, first, times = await asker.ask("/jobs", body, **{"Idempotency-Key": "k"})
    _, again, _ = await asker.ask("/jobs", body, **{"Idempotency-Key": "k"})
    assert again["job_id"] == first["job_id"]
    assert times == 3


# ---- batches -----------------------------------------------------------------------------------


def refusal(context: Context, jobs: list[Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        accepted_batch(context, json.dumps({"jobs": jobs}).encode())
    return caught.value


async def test_every_wrong_job_of_a_batch_is_named(noted: Context) -> None:
    wrong = [{"type": "no"}, {"type": "args", "params": {"words": [1]}}, {"priority": 1}, 5]
    found = refusal(noted, [{"type": "args"}, *wrong, {"type": "args"}])
    assert found.code == "unknown_type"
    assert found.detail.startswith("job 1: ")
    pointers = [fault.pointer for fault in found.faults]
    assert pointers == ["/jobs/1/type", "/jobs/2/params/words/0", "/jobs/3/type", "/jobs/4"]


async def test_nothing_waits_for_a_batch(asker: Asker) -> None:
    job = {"type": "free", "params": {"any": "x" * BODY_BYTES_MAX}}
    for prefer in ({}, {"Prefer": "wait=5"}):
        status, _, _ = await asker.ask("/jobs/batch", {"jobs": [{"type": "free"}] * 2}, **prefer)
        assert status == 201
        status, problem, _ = await asker.ask("/jobs/batch", {"jobs": [job] * 2}, **prefer)
        assert (status, problem["code"]) == (413, "too_large")
        assert "a Job of a batch" in problem["detail"]


async def test_a_batch_of_wrong_jobs_is_looked_at_only_so_far(
    noted: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []

    def no(adapter: Any, given: Any) -> NewJob:
        looked_at.append(given)
        raise Refusal("invalid", "no", (Fault("/a", "wrong"), Fault("/b", "wrong")))

    monkeypatch.setattr("web.resources.acceptance.checked", no)
    assert len(refusal(noted, [{"n": n} for n in range(10_000)]).faults) == 100
    assert len(looked_at) == 50


async def test_a_job_of_a_batch_has_the_limits_of_any_other(noted: Context) -> None:
    found = refusal(noted, [{"type": "free", "params": {"any": [1] * VALUES_MAX}}])
    assert found.code == "too_large"
