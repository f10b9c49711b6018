"""`headway log` against an imagined server."""

import json

import pytest

from tests.headway.cli.imagined_server import (
    ENDED,
    JOB,
    Reply,
    Server,
    headway,
)


def test_log_is_byte_for_byte(server: Server, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    server["GET /jobs/job-1/log"] = Reply(b"a\xff\x00\r\n\x1b[31m", content_type="text/plain")
    assert headway("log", "job-1") == 0
    assert capsysbinary.readouterr().out == b"a\xff\x00\r\n\x1b[31m"


def test_log_follows(server: Server, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    text = 'event: log\nid: 3\ndata: {"text": "é\\n"}\n\nevent: end\ndata: {}\n\n'
    server["GET /jobs/job-1/log"] = Reply(text.encode(), content_type="text/event-stream")
    assert headway("log", "-f", "job-1") == 0
    assert capsysbinary.readouterr().out == b"\xc3\xa9\n"
    assert headway("log", "-f", "job-1", "--json") == 0
    assert capsysbinary.readouterr().out == b'{"text": "\\u00e9\\n"}\n'


def test_log_shows_times(server: Server, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    server["GET /jobs/job-1"] = JOB | ENDED | {"status": "COMPLETED"}
    text = b'event: log\nid: 4\ndata: {"text":"a\\nb\\n"}\n\nevent: end\ndata: {}\n\n'
    server["GET /jobs/job-1/log"] = Reply(text, content_type="text/event-stream")
    server["GET /jobs/job-1/log/times"] = {
        "times": [
            {"offset": 0, "at": "2031-05-01T08:00:00Z"},
            {"offset": 2, "at": "2031-05-01T08:00:01.25Z"},
        ]
    }
    assert headway("log", "job-1", "--times", "--tail", "9") == 0
    assert capsysbinary.readouterr().out == (
        b"2031-05-01 08:00:00.000Z a\n2031-05-01 08:00:01.250Z b\n"
    )
    assert server.sent("GET /jobs/job-1/log").query == {"tail": ["9"]}
    assert headway("log", "job-1", "--times", "--json") == 0
    first, _ = capsysbinary.readouterr().out.splitlines()
    assert json.loads(first) == {"at": "2031-05-01T08:00:00Z", "text": "a\n"}
    assert headway("log", "job-1", "--tail", "-1") == 2
