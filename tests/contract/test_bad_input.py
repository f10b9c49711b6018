"""What no honest client sends: each a documented 4xx, and nothing of it is left.

That none of it is an accident is seen by the fixture `server`, in the log after each test.
"""

import json
from typing import Any

import pytest

from tests.contract.server import Server

JSON = {"Content-Type": "application/json"}


POST_PATHS = [
    "/jobs", "/jobs/batch", "/direct/echo", "/jobs/echo/trigger", "/scheduler/stop",
    "/scheduler/reservations",
]  # fmt: skip


def deep(levels: int) -> bytes:
    return b'{"type": "stdin", "params": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


MALFORMED = {
    "nothing": b"",
    "no end": b'{"type": "ok"',
    "two values": b'{"type": "ok"} {}',
    "not UTF-8": b'{"type": "ok", "name": "\xff"}',
    "cut UTF-8": b'{"type": "ok", "name": "\xe2\x82"}',
    "overlong UTF-8": b'{"type": "ok", "name": "\xc0\xaf"}',
    "UTF-8 surrogate": b'{"type": "ok", "name": "\xed\xa0\x80"}',
    "UTF-16": '{"type": "ok"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"type": "ok"}',
    "NaN": b'{"type": "echo", "params": {"ratio": NaN}}',
    "Infinity": b'{"type": "echo", "params": {"ratio": -Infinity}}',
    "key twice": b'{"type": "ok", "type": "ok"}',
    "key twice inside": b'{"type": "ok", "params": {"text": "a", "text": "b"}}',
    "key twice, escaped": b'{"type": "ok", "params": {"text": "a", "te\\u0078t": "b"}}',
    "lone surrogate": b'{"type": "ok", "name": "\\ud800"}',
    "lone low surrogate": b'{"type": "ok", "params": {"text": "\\udc00 x"}}',
    "surrogate in a key": b'{"type": "ok", "labels": {"\\ud83d": "x"}}',
    "65 deep": deep(64),
    "200,000 deep": deep(200_000),
    "200,000 arrays": b"[" * 200_000 + b"]" * 200_000,
    "200,000 open arrays": b"[" * 200_000,
    "control character": b'{"type": "ok", "name": "\n"}',
    "single quotes": b"{'type': 'ok'}",
    "comment": b'{"type": "ok" /* no */}',
    "trailing comma": b'{"type": "ok",}',
    "5,000 digits": b'{"type": "ok", "priority": ' + b"9" * 5000 + b"}",
    "form": b"type=ok",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_is_refused_everywhere(server: Server, name: str) -> None:
    before = server.last_seq()
    for path in POST_PATHS:
        if name == "nothing" and path not in ("/jobs", "/jobs/batch", "/scheduler/reservations"):
            continue  # their bodies are optional
        answer = server.client.post(path, content=MALFORMED[name], headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json"), path
    assert server.last_seq() == before


def test_a_nesting_of_64_is_not_too_deep(server: Server) -> None:
    body = deep(62)  # and the body itself, and params
    answer = server.client.post("/jobs", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


UNFIT_PARAMS = [
    ("ok", {"text": "a\0b"}, "/params/text"),
    ("ok", {"text": "x" * 140_000}, "/params/text"),
    ("ok", {"text": "이" * 50_000}, "/params/text"),
    ("echo", {"tags": ["fine", "a\0b"]}, "/params/tags/1"),
    ("echo", {"tags": ["x" * 100_000] * 12}, "/params"),
    ("echo", {"count": 2**70}, "/params/count"),
    ("echo", {"count": -(2**70)}, "/params/count"),
    ("echo", {"ratio": 2**70}, "/params/ratio"),
    ("stdin", {"number": 2**63}, "/params/number"),
    ("stdin", {"text": "a\0b"}, "/params/text"),
    ("stdin", {"te\0xt": 1}, "/params/te\0xt"),
]


@pytest.mark.parametrize(
    ("type", "params", "pointer"),
    UNFIT_PARAMS,
    ids=lambda value: str(value)[:20],
)
def test_a_value_that_no_program_could_be_given_is_refused(
    server: Server, type: str, params: Any, pointer: str
) -> None:
    before = server.last_seq()
    for path, body, at in (
        ("/jobs", {"type": type, "params": params}, ""),
        ("/jobs/batch", {"jobs": [{"type": type, "params": params}]}, "/jobs/0"),
        (f"/direct/{type}", {"params": params}, ""),
    ):
        answer = server.client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert at + pointer in [fault["pointer"] for fault in answer.json()["errors"]]
    assert server.client.post(f"/jobs/{type}/trigger", json=params).status_code == 422
    assert server.last_seq() == before


def test_the_longest_argument_that_linux_takes_is_taken(server: Server) -> None:
    text = "x" * (128 * 1024 - 2 - len("--name="))
    assert server.run("echo", {"name": text})["status"] == "COMPLETED"
    more = {"type": "echo", "params": {"name": text + "xx"}}
    assert server.client.post("/jobs", json=more).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"type": "ok", "priority": 2**70},
        {"type": "ok", "priority": -(2**70)},
        {"type": "ok", "priority": 1e300},
        {"type": "ok", "timeout_s": 2**70},
        {"type": "ok", "timeout_s": 1e308},
        {"type": "o" * 100_000},
        {"type": "o\0k"},
        {"type": "ok", "labels": {f"k{n}": "" for n in range(33)}},
        {"type": "ok", "labels": {"": "x"}},
        {"type": "ok", "labels": {"a=b": "x"}},
        {"type": "ok", "labels": {"a": "x" * 101}},
        {"type": "ok", "labels": {"a": "\0"}},
        {"type": "ok", "name": "\0"},
        {"type": "ok", "name": "\x1b[31m"},
        {"type": "ok", "\0": 1},
        "ok", 5, None, True, [], [{"type": "ok"}],
    ],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_other_nonsense_is_refused(server: Server, body: Any) -> None:
    before = server.last_seq()
    answer = server.client.post("/jobs", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert server.last_seq() == before


def test_a_refusal_is_not_larger_than_a_page(server: Server) -> None:
    answer = server.client.post("/jobs", json={"type": "ok", "x" * 100_000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 20_000


def test_1e400_is_no_number(server: Server) -> None:
    for body in (
        b'{"type": "echo", "params": {"ratio": 1e400}}',
        b'{"type": "ok", "priority": 1e400}',
        b'{"type": "ok", "timeout_s": 1e400}',
    ):
        assert server.client.post("/jobs", content=body, headers=JSON).status_code == 422
    answer = server.client.post("/scheduler/stop", content=b'{"wait_s": 1e400}', headers=JSON)
    assert answer.status_code == 422
    answer = server.client.post(
        "/scheduler/reservations", content=b'{"ttl_s": 1e400}', headers=JSON
    )
    assert answer.status_code == 422


TIMES = [
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59-00:01",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59.999999Z",
    "2016-12-31T23:59:60Z",
    "10000-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "2126-01-01T00:00:00.123456789Z",
    "2126-01-01",
    "2126-01-01 00:00:00Z",
    "1e30",
    "99999999999999999999",
    "",
]


@pytest.mark.parametrize("field", ["run_at", "expires_at"])
def test_the_edges_of_time_bring_nothing_down(server: Server, field: str) -> None:
    server.post("/scheduler/stop")
    path = f"/jobs/{server.submit('ok', run_at='2126-01-01T00:00:00Z')['job_id']}"
    for time in TIMES:
        answer = server.client.post("/jobs", json={"type": "ok", field: time})
        assert answer.status_code in (201, 422), (time, answer.text)
        if answer.status_code == 201:
            job_id = answer.json()["job_id"]
            assert server.job(job_id)[field][:4] == time[:4] or "-23:59" in time or "+" in time
            assert server.client.get("/jobs").status_code == 200
        if field == "run_at":
            assert server.client.patch(path, json={"run_at": time}).status_code in (200, 422)
    assert server.status()["scheduler_running"] is False


def test_microseconds_are_kept(server: Server) -> None:
    for time in ("2126-01-01T00:00:00.123457Z", "9000-01-01T00:00:00.000001Z"):
        assert server.submit("ok", run_at=time)["run_at"] == time


def test_what_is_repeated_within_the_limits_counts_once(server: Server) -> None:
    job_id = server.submit("ok", labels={"a": "b"}, run_at="2126-01-01T00:00:00Z")["job_id"]
    query = "&".join(["label=a=b&type=ok&status=QUEUED"] * 50)
    found = server.client.get(f"/jobs?{query}")
    assert [job["job_id"] for job in found.json()["jobs"]] == [job_id]


@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/xml", "application/json-patch+json", "text/json", "", "json", "*/*", None],
)  # fmt: skip
def test_a_body_that_is_not_declared_as_json_is_refused(server: Server, media: str | None) -> None:
    before = server.last_seq()
    headers = {} if media is None else {"Content-Type": media}
    for path, body in (
        ("/jobs", b'{"type": "ok"}'),
        ("/jobs/batch", b'{"jobs": [{"type": "ok"}]}'),
        ("/direct/ok", b"{}"),
        ("/jobs/ok/trigger", b"{}"),
        ("/scheduler/stop", b"{}"),
        ("/scheduler/reservations", b'{"ttl_s": 60}'),
    ):
        answer = server.client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert server.last_seq() == before


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_media_type_is_read_as_it_is_meant(server: Server, media: str) -> None:
    headers = {"Content-Type": media}
    content = b'{"type": "ok", "name": "\xc3\xa9", "run_at": "2126-01-01T00:00:00Z"}'
    answer = server.client.post("/jobs", content=content, headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (201, "é")


def test_a_body_that_is_too_large_is_refused(server: Server) -> None:
    before = server.last_seq()
    head = "POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    declared = f"{head}Content-Length: 3000000\r\n\r\n".encode()
    status, body = server.speak(declared)
    assert (status, json.loads(body)["code"]) == (413, "too_large")
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with server.connect() as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(48):
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not listen any longer
        status, body = server.hear(connection)
    assert (status, json.loads(body)["code"]) == (413, "too_large")
    assert server.last_seq() == before
