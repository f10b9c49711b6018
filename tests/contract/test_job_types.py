"""/job-types: what a form needs to know, and the command line before anything is queued."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server import Server


def preview(server: Server, type: str, params: Any) -> Any:
    return server.post(f"/job-types/{type}/preview", {"params": params})


def test_a_type_tells_how_its_parameters_are_given(server: Server) -> None:
    echo = server.get("/job-types/echo")
    assert echo["input"] == "arguments"
    assert [entry["name"] for entry in echo["arguments"]] == list(
        echo["params_schema"]["properties"]
    )
    assert echo["arguments"][0] == {
        "name": "name", "arg": "--name", "positional": False, "secret": False,
    }  # fmt: skip
    assert echo["arguments"][-1]["positional"] is True
    assert server.get("/job-types/stdin")["input"] == "json"


def test_a_form_knows_what_is_secret(server: Server) -> None:
    found = server.get("/job-types/whisper")
    assert found["arguments"][0]["secret"] is True
    schema = found["params_schema"]["properties"]["token"]
    assert schema == {"type": "string", "maxLength": 40, "writeOnly": True}
    assert "writeOnly" not in server.get("/job-types/echo")["params_schema"]["properties"]["name"]


def test_a_preview_is_the_command_line_that_runs(server: Server) -> None:
    params = {"name": "a b", "flag": True, "tags": ["x", "-y"], "text": "--help"}
    shown = preview(server, "echo", params)
    job = server.run("echo", params)
    assert shown["argv"] == server.run_of(job["job_id"])["argv"]
    assert shown["params"] == job["params"] == {**params, "count": 1}
    assert shown["stdin"] is None
    assert Path(shown["argv"][0]).samefile(sys.executable)
    assert shown["argv"][3:] == json.loads(server.output(job["job_id"]))


def test_a_preview_shows_what_the_program_reads(server: Server) -> None:
    shown = preview(server, "stdin", {"number": 3})
    assert shown["argv"] == ["/bin/cat"]
    job = server.run("stdin", {"number": 3})
    assert shown["stdin"].encode() == server.output(job["job_id"])


def test_a_preview_keeps_secrets(server: Server) -> None:
    assert preview(server, "whisper", {"token": server.secret, "code": "abc"})["argv"] == [
        "/bin/true", "--token=***", "--", "***",
    ]  # fmt: skip
    shown = preview(server, "secretive", {"token": server.secret})
    assert json.loads(shown["stdin"]) == {"token": "***"}
    assert shown["params"] == {"token": "***"}


def test_a_preview_queues_nothing_and_needs_no_body(server: Server) -> None:
    before = server.last_seq()
    assert server.post("/job-types/ok/preview")["argv"] == ["true"]
    assert server.last_seq() == before


@pytest.mark.parametrize(
    ("type", "params"),
    [
        ("echo", {"count": 0}),
        ("echo", {"no": 1, "count": "x"}),
        ("exit", {}),
        ("secretive", {"token": "x"}),
        ("no-such", {}),
    ],
)
def test_a_preview_is_refused_as_the_job_would_be(server: Server, type: str, params: Any) -> None:
    refused = server.client.post(f"/job-types/{type}/preview", json={"params": params})
    queued = server.client.post("/jobs", json={"type": type, "params": params})
    assert refused.status_code == queued.status_code == 422
    assert refused.json()["code"] == queued.json()["code"]
    if refused.json()["code"] == "invalid":
        assert refused.json()["errors"] == queued.json()["errors"]


def test_a_preview_is_closed(server: Server) -> None:
    answer = server.client.post("/job-types/ok/preview", json={"parameters": {}})
    assert answer.status_code == 422
