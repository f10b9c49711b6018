"""A log on the client's side: lines as they were, each with its time."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.client.client import Client
from headway.client.log_reader import LineTimer, LogLine, LogPart
from headway.model.log import LogTime

NOW = datetime(2031, 5, 1, 8, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def timed_lines(parts: Iterable[LogPart], times: Sequence[LogTime]) -> list[LogLine]:
    timer = LineTimer(times)
    return [*(line for part in parts for line in timer.feed(part)), *timer.end()]


TIMES = [LogTime(offset=0, at=at(1)), LogTime(offset=4, at=at(5)), LogTime(offset=10, at=at(9))]


@given(st.lists(st.binary(max_size=6) | st.sampled_from([b"\n", b"a\nb", b"\r\n"])))
def test_lines_put_together_are_the_output(pieces: list[bytes]) -> None:
    parts, end = [], 0
    for data in pieces:
        end += len(data)
        parts.append(LogPart(data=data, end=end))
    lines = timed_lines(parts, TIMES)
    assert b"".join(line.line for line in lines) == b"".join(pieces)
    assert all(line.line.count(b"\n") == 1 for line in lines[:-1])


def test_a_line_has_the_time_of_its_first_byte() -> None:
    parts = [LogPart(data=b"ab\nc", end=4), LogPart(data=b"d\nef\ngh", end=11)]
    assert [(line.line, line.at) for line in timed_lines(parts, TIMES)] == [
        (b"ab\n", at(1)), (b"cd\n", at(1)), (b"ef\n", at(5)), (b"gh", at(5)),
    ]  # fmt: skip
    assert timed_lines([LogPart(data=b"x", end=1)], []) == [LogLine(at=None, line=b"x")]


def test_what_came_after_the_samples_has_the_time_of_its_event() -> None:
    part = LogPart(data=b"live\n", end=40, at=at(100))
    assert [line.at for line in timed_lines([part], TIMES)] == [at(100)]


@pytest.mark.parametrize("status", ["RUNNING", "COMPLETED"])
def test_lines_are_read_from_where_the_tail_begins(status: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url.copy_with(host="h", port=None)).removeprefix("http://h"))
        if request.url.path.endswith("/times"):
            times = [entry.model_dump(mode="json") for entry in TIMES]
            return httpx.Response(200, json={"times": times})
        if not request.url.path.endswith("/log"):
            return httpx.Response(200, json=JOB | {"status": status})
        if "event-stream" in request.headers["Accept"]:
            event = b'event: log\nid: 12\ndata: {"text":"ef\\n","offset":9}\n\n'
            end = b"event: end\ndata: {}\n\n"
            return httpx.Response(200, content=event + end)
        return httpx.Response(200, content=b"ef\n", headers={"Log-Offset": "9"})

    with Client("http://127.0.0.1:1", transport=httpx.MockTransport(answer)) as client:
        assert list(client.log_lines("job-1", tail=5)) == [LogLine(at=at(5), line=b"ef\n")]
        assert b"".join(client.log("job-1", tail=5)) == b"ef\n"
        assert b"".join(client.follow_log("job-1", tail=5)) == b"ef\n"
    assert "/jobs/job-1/log?tail=5" in asked


JOB: dict[str, Any] = {
    "job_id": "job-1", "type": "story", "params": {}, "priority": 0, "position": 1, "name": None,
    "labels": {}, "run_at": None, "expires_at": None, "timeout_s": None, "retry_of": None,
    "origin": "api", "created_at": "2031-05-01T08:00:00Z", "started_at": None, "finished_at": None,
    "progress": None, "reason": None, "version": 1,
}  # fmt: skip
