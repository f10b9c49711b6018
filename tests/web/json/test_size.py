"""How much a body holds, by its bytes: never too little, and at once."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.schema_faults import count_values as count_of_value
from config.weight import LIGHT_BYTES_MAX, LIGHT_VALUES_MAX
from headway.model.problem import Refusal
from tests.web.json.test_strict import JSON
from web.json import size
from web.json.size import (
    BODY_BYTES_MAX,
    VALUES_MAX,
    check_values,
    count_values,
    is_deep,
    is_light_text,
)


def empties(value: Any) -> int:
    """Each empty array or object is counted as if it held something."""
    if isinstance(value, dict | list):
        inner = list(value.values() if isinstance(value, dict) else value)
        return sum(map(empties, inner)) + (not inner)
    return 0


@given(JSON, st.booleans(), st.integers(min_value=1, max_value=30))
def test_what_stands_in_strings_is_not_counted(value: Any, ascii_only: bool, piece: int) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(size, "PIECE_BYTES", piece)
        counted = count_values(body, 10**9)
    assert counted == count_of_value(value, 10**9) + empties(value)


@pytest.mark.parametrize("text", [r"[,{\"", "\\" * 9, r"\\\"[[[", "[" * 100_000, '"', ",{" * 9])
def test_a_string_is_one_value(text: str) -> None:
    for piece in (1, 2, 3, 64 * 1024):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(size, "PIECE_BYTES", piece)
            if len(text) < 1_000 or piece > 3:
                assert count_values(json.dumps([text, text, 1]).encode(), 10**9) == 4


def refusal(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        check_values(body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[" + b"1," * VALUES_MAX + b"1]", "too_large"),
        (b"[" + b"[]," * VALUES_MAX + b"1]", "too_large"),
        (b'{"a":[' + b"{}," * VALUES_MAX + b"1]}", "too_large"),
        (b"[" + b'"",' * VALUES_MAX + b"1]", "too_large"),
        (b"[" * 3 * VALUES_MAX, "malformed_json"),
        (b'{"a":' * VALUES_MAX + b"[" * VALUES_MAX, "malformed_json"),
        (b"[" + b"[]," * VALUES_MAX + b"[" * 100, "malformed_json"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_too_much_is_refused_before_it_is_parsed(body: bytes, code: str) -> None:
    assert refusal(body).code == code


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * (VALUES_MAX - 2) + b"1]",
        b'"' + b"," * (BODY_BYTES_MAX - 2) + b'"',
        b'["' + b"[" * 100_000 + b'"]',
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_is_within_the_limits_may_be_parsed(body: bytes) -> None:
    check_values(body)


def test_depth_is_that_of_brackets_outside_strings() -> None:
    assert not is_deep(b'["' + b"[" * 100 + b'"]' + b"[]" * 100)
    assert is_deep(b'{"a":' * 65)
    assert not is_deep(b'{"a":' * 64 + b"}" * 64)


def test_what_is_light_by_its_bytes() -> None:
    assert is_light_text(b"[" * 2 * LIGHT_VALUES_MAX)
    assert is_light_text(b'"' + b"x" * (LIGHT_BYTES_MAX - 2) + b'"')
    assert not is_light_text(b'"' + b"x" * LIGHT_BYTES_MAX + b'"')
    assert not is_light_text(b"[" + b"10," * LIGHT_VALUES_MAX + b"1]")
