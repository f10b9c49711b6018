"""What may be shown: everything but the values of secret parameters."""

import json
from typing import Any

import pytest

from actors.rules.public import batch_body, job_body, public_job, public_run
from headway.model.job import NewJob
from storage.runs import find_run
from tests.actors.desk import Desk

PARAMS = {"key": "s3cret"}


@pytest.fixture
def jobs(desk: Desk) -> Any:
    return desk.submit({"type": "secret", "params": PARAMS}, {"type": "a", "params": {"n": 1}})


def test_secret_values_are_masked(desk: Desk, jobs: Any) -> None:
    assert public_job(jobs[0], desk.types).params == {"key": "***"}
    assert b"s3cret" not in job_body(jobs[0], desk.types)
    assert jobs[0].params == PARAMS  # what is stored stays whole


def test_other_values_are_shown(desk: Desk, jobs: Any) -> None:
    assert json.loads(job_body(jobs[1], desk.types))["params"] == {"n": 1}


def test_a_run_is_masked_as_its_job_is(desk: Desk, jobs: Any) -> None:
    (run,) = desk.running()
    assert run.params_snapshot == PARAMS
    shown = public_run(run, desk.types)
    assert shown.params_snapshot == {"key": "***"}
    assert "s3cret" not in repr(shown)


def test_the_stored_command_line_is_masked(desk: Desk, jobs: Any) -> None:
    (run,) = desk.running()
    assert find_run(desk.connection, run.run_id).argv == ["secret", "--key=***"]


def test_of_a_type_that_has_gone_nothing_is_shown(jobs: Any) -> None:
    assert public_job(jobs[0], {}).params == {"key": "***"}
    assert public_job(jobs[1], {}).params == {"n": "***"}


def test_no_params_need_no_mask(desk: Desk) -> None:
    (job,) = desk.submit("a")
    assert public_job(job, {}).params == {}


def test_a_body_is_the_job_as_json(desk: Desk, jobs: Any) -> None:
    body = json.loads(job_body(jobs[1], desk.types))
    assert body["job_id"] == jobs[1].job_id
    assert body["status"] == "QUEUED"
    assert body["created_at"].endswith("Z")
    assert json.loads(batch_body(["job-a", "job-b"], 7)) == {
        "jobs": [{"job_id": "job-a", "position": 7}, {"job_id": "job-b", "position": 8}]
    }


def test_a_new_job_is_no_job() -> None:
    assert not hasattr(NewJob(type="a"), "job_id")
