"""The commands on Jobs against an imagined server."""

import json
import os
import signal
from typing import Any

import pytest

from tests.headway.cli.imagined_server import (
    ENDED,
    FAILED_RUN,
    JOB,
    RUN,
    WHY,
    Reply,
    Server,
    events,
    headway,
    problem,
)


def test_submit_prints_the_id_alone(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    assert headway("submit", "story", "--priority", "3", "--label", "team=x=y", "--name", "n") == 0
    out, err = capsys.readouterr()
    assert out == "job-1\n"
    assert "QUEUED, priority 0, position 7." in err
    assert "headway log -f job-1" in err
    body = server.sent("POST /jobs").body
    assert (body["type"], body["priority"], body["name"]) == ("story", 3, "n")
    assert body["labels"] == {"team": "x=y"}
    assert len(server.requests) == 1, "without --param the schema is not needed"


def test_params_are_what_the_schema_says(server: Server) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    argv = ["submit", "story", "--params", '{"topic": "x", "max_stories": 1}']
    for pair in ("topic=007", "max_stories=3", "enable_dedup=true", "tags=a", 'tags=["b", "c"]'):
        argv += ["--param", pair]
    assert headway(*argv) == 0
    assert server.sent("POST /jobs").body["params"] == {
        "topic": "007",
        "max_stories": 3,
        "enable_dedup": True,
        "tags": ["a", "b", "c"],
    }


def test_run_at_keeps_its_moment(server: Server) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    assert headway("submit", "story", "--run-at", "2031-05-01T08:00:00+09:00") == 0
    assert server.sent("POST /jobs").body["run_at"] == "2031-04-30T23:00:00Z"


def test_a_job_may_expire(server: Server) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    assert headway("submit", "story", "--expires-at", "2031-05-01T08:00:00Z") == 0
    assert server.sent("POST /jobs").body["expires_at"] == "2031-05-01T08:00:00Z"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--param", "max_stories=many"], "--param max_stories wants JSON, like 3"),
        (["--param", "max_stories=NaN"], "wants JSON"),
        (["--param", "topic=a", "--param", "topic=b"], "--param topic is given twice"),
        (["--param", "topic"], "--param wants key=value, not 'topic'"),
        (["--params", "[1]"], "--params wants a JSON object"),
        (["--params", "{"], "--params wants JSON"),
        (["--label", "=x"], "--label wants key=value"),
        (["--label", "a=1", "--label", "a=2"], "--label key is given twice"),
        (["--run-at", "tomorrow"], "'tomorrow' is no time"),
        (["--run-at", "20310501"], "'20310501' is no time"),
        (["--run-at", "1900000000"], "'1900000000' is no time"),
        (["--expires-at", "2031-05-01"], "'2031-05-01' is no time"),
        (["--run-at", "2031-05-01T08:00:00"], "has no time zone"),
        (["--expires-at", "soon"], "'soon' is no time"),
        (["--url", "localhost"], "is not an address"),
    ],
)
def test_invalid_arguments_are_not_sent(
    server: Server, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    assert headway("submit", "story", *argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert not [each for each in server.requests if each.method == "POST"]


def test_an_unknown_type_is_rejected_by_the_submit(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /jobs"] = problem(422, "unknown_type", "there is no job type stroy")
    assert headway("submit", "stroy", "--param", "n=1") == 2
    assert server.sent("POST /jobs").body["params"] == {"n": "1"}
    err = capsys.readouterr().err
    assert "headway: there is no job type stroy" in err
    assert "`headway types` lists" in err


@pytest.mark.parametrize(
    ("status", "run", "code", "words"),
    [
        ("COMPLETED", RUN, 0, "COMPLETED after 1 min 5 s"),
        ("SKIPPED", None, 0, "SKIPPED: it expired"),
        ("FAILED", FAILED_RUN, 1, "FAILED after 1 min 5 s: exit_status: it exited with 3"),
        ("CANCELLED", None, 1, "CANCELLED: it expired"),
    ],
)
def test_wait_exits_with_the_outcome(
    server: Server, capsys: pytest.CaptureFixture[str], status: str, run: Any, code: int, words: str
) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    server["GET /events"] = events("run_started", "job_ended")
    ended = JOB | ENDED | {"status": status, "reason": "it expired"}
    server["GET /jobs/job-1"] = [JOB, JOB | {"status": "RUNNING"}, ended]
    server["GET /jobs/job-1/runs"] = {"runs": [run] if run else [], "total": 1}
    assert headway("submit", "story", "--wait") == code
    out, err = capsys.readouterr()
    assert out == "job-1\n"
    assert words in err
    assert "\x1b" not in err
    assert server.sent("GET /events").query == {"job_id": ["job-1"]}


def test_retry_waits_too_and_can_print_json(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /jobs/job-0/retry"] = Reply(JOB | {"retry_of": "job-0"}, status=201)
    server["GET /events"] = events("job_ended")
    server["GET /jobs/job-1"] = JOB | ENDED | {"status": "COMPLETED"}
    assert headway("retry", "job-0", "--wait", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "COMPLETED"
    assert err == ""


def test_an_interrupted_wait_leaves_the_job_running(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /jobs"] = Reply(JOB, status=201)
    server["GET /events"] = events()
    interrupt = Reply(JOB, before=lambda: os.kill(os.getpid(), signal.SIGINT))
    server["GET /jobs/job-1"] = interrupt
    assert headway("submit", "story", "--wait") == 130
    assert "job-1 continues" in capsys.readouterr().err
    assert {each.method for each in server.requests[1:]} == {"GET"}


def test_list_is_plain_in_a_pipe(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    long = JOB | {"job_id": "job-2", "status": "RUNNING", "name": "n" * 150}
    long["progress"] = {"fraction": 0.4, "message": "two\x1b[31m"}
    page = {"jobs": [JOB, long], "next_cursor": "c", "counts": {"QUEUED": 3, "RUNNING": 1}}
    server["GET /jobs"] = page
    argv = ["--status", "QUEUED", "--status", "RUNNING", "--type", "story", "-q", "sea"]
    assert headway("list", *argv, "--label", "team=x", "--retry-of", "job-0", "--limit", "2") == 0
    out, err = capsys.readouterr()
    head, first, second = out.splitlines()
    assert head.split() == ["JOB", "TYPE", "STATUS", "PRIORITY", "CREATED", "NAME", "NOTE"]
    assert first.startswith("job-1  story  QUEUED")
    assert "[red]night" in first
    assert first.split()[4:6] == ["2031-05-01", "08:00:00Z"]
    assert first.endswith("  position 7")
    assert "n" * 150 in second
    assert second.endswith("40% two␛[31m")
    assert "2 shown. All Jobs: 3 QUEUED, 1 RUNNING." in err
    assert "--limit 20" in err
    assert server.sent("GET /jobs").query == {
        "status": ["QUEUED", "RUNNING"],
        "type": ["story"],
        "label": ["team=x"],
        "q": ["sea"],
        "retry_of": ["job-0"],
        "limit": ["2"],
    }


def test_list_as_json_is_the_response_of_the_server(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"jobs": [JOB], "next_cursor": None, "counts": {"QUEUED": 1}}
    server["GET /jobs"] = page
    assert headway("list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == page


@pytest.mark.parametrize("argv", [["--limit", "0"], ["--status", "DONE"], ["--nonsense"]])
def test_a_wrong_list_is_a_usage_error(server: Server, argv: list[str]) -> None:
    assert headway("list", *argv) == 2
    assert server.requests == []


def test_show_prints_every_field(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["GET /jobs/job-1"] = JOB | ENDED | {"status": "FAILED"}
    server["GET /jobs/job-1/runs"] = {"runs": [FAILED_RUN], "total": 1}
    assert headway("show", "job-1") == 0
    out = capsys.readouterr().out
    for words in (
        "[red]night",
        "team=x",
        '{"topic": "sea"}',
        "exit_status: it exited with 3␛[2J",
        "1 min 5 s",
        '["story", "--", "sea"]',
        '{"written": 1}',
        "a.md (2 KiB)",
        "2, ended with the run, 1 of them by KILL",
    ):
        assert words in out
    assert "Not before" not in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("given", "collection", "words"),
    [
        ([], {"complete": True, "reason": None}, None),
        ([], {"complete": False, "reason": None}, "under way"),
        ([True], {"complete": False, "reason": None}, "its checksums are still being computed"),
        ([True, False], {"complete": False, "reason": "1 files were not kept"},
         "not complete: 1 files were not kept"),
    ],
)  # fmt: skip
def test_show_names_artifacts_that_are_not_there(
    server: Server,
    capsys: pytest.CaptureFixture[str],
    given: list[bool],
    collection: dict[str, Any],
    words: str | None,
) -> None:
    artifacts = [
        {"name": f"{n}.md", "size_bytes": 2048, "sha256": None, "kept": kept}
        for n, kept in enumerate(given)
    ]
    run = RUN | {"artifacts": artifacts, "collection": collection}
    server["GET /jobs/job-1"] = JOB | ENDED
    server["GET /jobs/job-1/runs"] = {"runs": [run], "total": 1}
    assert headway("show", "job-1") == 0
    out = capsys.readouterr().out
    for n, kept in enumerate(given):
        assert f"{n}.md (2 KiB)" in out if kept else f"{n}.md (2 KiB, not kept)" in out
    assert ("Collection" in out) == (words is not None)
    assert words is None or words in out


def test_show_as_json(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["GET /jobs/job-1"] = JOB
    server["GET /jobs/job-1/runs"] = {"runs": [], "total": 0}
    server["GET /jobs/job-1/explain"] = WHY
    assert headway("show", "job-1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"job": JOB, "run": None, "explanation": WHY}


def test_show_explains_why_a_job_waits(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server["GET /jobs/job-1"] = JOB
    server["GET /jobs/job-1/runs"] = {"runs": [], "total": 0}
    server["GET /jobs/job-1/explain"] = WHY
    assert headway("show", "job-1") == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["Waits", "the scheduler is stopped: start it"] in lines
    assert ["Waits", "2 Jobs go before it"] in lines
    assert ["Ahead", "10,000 or more"] in lines
    assert ["Starts", "unknown"] in lines
    moments = {"start_at": "2031-05-01T08:00:20Z", "earliest": "2031-05-01T08:00:10Z"}
    estimate = {**moments, "latest": "2031-05-01T08:00:30Z"}
    server["GET /jobs/job-1/explain"] = WHY | {"ahead_exact": True, "estimate": estimate}
    assert headway("show", "job-1") == 0
    out = capsys.readouterr().out
    assert "10,000\n" in out
    assert (
        "about 2031-05-01 08:00:20Z, between 2031-05-01 08:00:10Z and 2031-05-01 08:00:30Z" in out
    )


def test_show_of_an_unknown_job(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert headway("show", "job-9") == 2
    assert capsys.readouterr().err == "headway: there is no such Job\n"


def test_a_preview_queues_nothing(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {"argv": ["story", "--", "a b\x1b"], "stdin": '{"a":1}', "params": {"topic": "a b"}}
    server["POST /job-types/story/preview"] = shown
    assert headway("submit", "story", "--params", '{"topic": "a b"}', "--preview") == 0
    captured = capsys.readouterr()
    assert captured.out == "story -- 'a b\x1b'\n"
    assert captured.err == 'On its standard input: {"a":1}\n'
    assert server.sent("POST /job-types/story/preview").body == {"params": {"topic": "a b"}}
    assert headway("submit", "story", "--preview", "--json") == 0
    assert json.loads(capsys.readouterr().out) == shown
    assert {request.path for request in server.requests} == {"/job-types/story/preview"}


def test_cancel_prints_whether_the_job_has_ended(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["POST /jobs/job-1/cancel"] = Reply(JOB | {"status": "RUNNING"}, status=202)
    assert headway("cancel", "job-1") == 0
    assert "is being ended" in capsys.readouterr().err
    server["POST /jobs/job-1/cancel"] = Reply(JOB | ENDED | {"status": "CANCELLED"}, status=202)
    assert headway("cancel", "job-1") == 0
    assert capsys.readouterr() == ("job-1\n", "CANCELLED.\n")


def test_priority_changes_only_that(server: Server) -> None:
    server["PATCH /jobs/job-1"] = JOB | {"priority": 9}
    assert headway("priority", "job-1", "9") == 0
    assert server.sent("PATCH /jobs/job-1").body == {"priority": 9}
