"""A batch is read Job by Job, as strictly as any other body."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.model.problem import Refusal
from tests.web.json.test_strict import JSON
from web.json import batch
from web.json.batch import read_jobs
from web.json.size import BODY_BYTES_MAX, NESTING_MAX, VALUES_MAX

PIECES = (1, 2, 3, 7, 64 * 1024)


def jobs(body: bytes, most: int = 100) -> list[Any]:
    return list(read_jobs(body, most))


def refusal(body: bytes, most: int = 100) -> Refusal:
    with pytest.raises(Refusal) as caught:
        jobs(body, most)
    caught.value.detail.encode()  # it can be sent
    return caught.value


@pytest.fixture(params=PIECES)
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few bytes come into the window at once."""
    monkeypatch.setattr(batch, "PIECE_BYTES", request.param)


@given(
    st.lists(JSON, min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.sampled_from(PIECES),
)
def test_the_jobs_are_those_of_the_array(
    given_jobs: list[Any], ascii_only: bool, indent: int | None, piece: int
) -> None:
    body = json.dumps({"jobs": given_jobs}, ensure_ascii=ascii_only, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "PIECE_BYTES", piece)
        assert jobs(body) == given_jobs


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Expecting value"),
        (b" ", "Expecting value"),
        (b"{", "a key in double quotes"),
        (b"{}{}", "extra data"),
        (b'{"jobs":[1]} x', "extra data"),
        (b'{"jobs":[1]', "expecting ','"),
        (b'{"jobs":[1', "expecting ','"),
        (b'{"jobs":[1,]}', "Expecting value, at character 11"),
        (b'{"jobs":[1 2]}', "expecting ','"),
        (b'{"jobs" [1]}', "expecting ':'"),
        (b'{"jobs":[1],}', "a key in double quotes"),
        (b"{jobs:[1]}", "a key in double quotes"),
        (b'{"jobs":[{"a":1,"a":2}]}', "'a' is given twice"),
        (b'{"jobs":[1],"j\\u006fbs":[2]}', "'jobs' is given twice"),
        (b'{"a":1,"a":2}', "'a' is given twice"),
        (b'{"jobs":[NaN]}', "NaN is not JSON"),
        (b'{"jobs":[-Infinity]}', "-Infinity is not JSON"),
        (b'{"jobs":["a\nb"]}', "control character"),
        (b'{"jobs":["\xff"]}', "byte 10 is not UTF-8"),
        (b'{"jobs":["' + "숲".encode()[:2] + b'"]}', "byte 10 is not UTF-8"),
        (b'{"jobs":["' + "숲".encode()[:2], "byte 10 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"jobs":[1]}'.decode().encode("utf-16"), "byte 0 is not UTF-8"),
        (b'{"jobs":["\\ud800"]}', "surrogate"),
        (b'{"jobs":[{"\\ud800":1}]}', "surrogate"),
        (b'{"x":"\\udc00"}', "surrogate"),
        (b'{"jobs":[' + b"9" * 5000 + b"]}", "digits"),
        (b'{"jobs":' + b"[" * 64 + b"1" + b"]" * 64 + b"}", "nested deeper than 64"),
        (b'{"x":' + b"[" * 64 + b"1" + b"]" * 64 + b"}", "nested deeper than 64"),
        (b"[" * 200_000, "nested deeper than 64"),
        (b'{"jobs":' + b"[" * 200_000, "nested deeper than 64"),
        (b'{"jobs":[' + b'{"a":' * 200_000, "nested deeper than 64"),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else "",
)
def test_what_is_not_acceptable(
    piece: None, monkeypatch: pytest.MonkeyPatch, body: bytes, why: str
) -> None:
    if len(body) > 10_000:
        monkeypatch.undo()  # in small pieces it would be tried again thousands of times
    found = refusal(body)
    assert found.code == "malformed_json"
    assert why in found.detail


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"[]", ""), (b"5", ""), (b'"x"', ""), (b"null", ""),
        (b"{}", "/jobs"), (b'{"jobs":[]}', "/jobs"), (b'{"jobs":{}}', "/jobs"),
        (b'{"jobs":null}', "/jobs"), (b'{"jobs":[1,2,3,4]}', "/jobs"),
        (b'{"jobs":[1],"a/b":1}', "/a~1b"), (b'{"more":[[]],"jobs":[1]}', "/more"),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_named(piece: None, body: bytes, pointer: str) -> None:
    found = refusal(body, most=3)
    assert found.code == "invalid"
    assert pointer in [fault.pointer for fault in found.faults]


def test_the_deepest_that_is_good(piece: None) -> None:
    within = NESTING_MAX - 2
    assert len(jobs(b'{"jobs":[' + b"[" * within + b"]" * within + b"]}")) == 1


@pytest.mark.parametrize(
    "job",
    [
        b"[" + b"1," * VALUES_MAX + b"1]",
        b'"' + b"x" * (2 * BODY_BYTES_MAX) + b'"',
        b'{"a":{}},' * 60_000 + b"1",
    ],
    ids=["values", "bytes", "objects"],
)
def test_too_much_is_refused(job: bytes) -> None:
    assert refusal(b'{"jobs":[' + job + b"]}", most=10**6).code == "too_large"


def test_brackets_in_strings_are_no_objects() -> None:
    job = '{"a":"' + "{" * 400_000 + '"}'
    assert len(jobs(b'{"jobs":[' + job.encode() + b"]}")) == 1


def test_the_first_jobs_are_there_before_the_last_is_looked_at() -> None:
    reading = read_jobs(b'{"jobs":[{"n":1},{"n":2},nonsense', 100)
    assert [next(reading), next(reading)] == [{"n": 1}, {"n": 2}]
    with pytest.raises(Refusal):
        next(reading)
