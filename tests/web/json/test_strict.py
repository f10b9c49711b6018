"""JSON as strictly as the contract reads it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.model.problem import Refusal
from web.json.size import NESTING_MAX
from web.json.strict import parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


def refusal(body: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        parse(body)
    assert caught.value.code == "malformed_json"
    caught.value.detail.encode()  # it can be sent
    return caught.value.detail


@given(JSON, st.booleans())
def test_what_is_json_is_read(value: Any, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Expecting value"),
        (b" ", "Expecting value"),
        (b"{", "line 1 column 2"),
        (b"{}{}", "Extra data"),
        (b"[1,]", "line 1 column"),
        (b"{'a': 1}", "double quotes"),
        (b"// comment\n{}", "Expecting value"),
        (b"01", "Extra data"),
        (b"+1", "Expecting value"),
        (b"0x10", "Extra data"),
        (b'"a\nb"', "control character"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1, "a": 1}', "'a' is given twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' is given twice"),
        (b'[{"b": {"c": 1, "c": 2}}]', "'c' is given twice"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "given twice"),
        (b'"\xff"', "byte 1 is not UTF-8"),
        (b'"\xed\xa0\x80"', "byte 1 is not UTF-8"),  # a surrogate in UTF-8
        (b'"\xc0\x80"', "byte 1 is not UTF-8"),  # an overlong NUL
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"\xff\xfe{\x00}\x00", "byte 0 is not UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'[{"a": ["\\ud83d"]}]', "surrogate"),
        (b"1" * 5000, "digits"),
        (b"[" * 200_000, "nested deeper than 64"),
        (b'{"a":' * 200_000, "nested deeper than 64"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested deeper than 64"),
        (b'[{"a":' * 33 + b"1" + b"}]" * 33, "nested deeper than 64"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else "",
)
def test_what_is_not_acceptable(body: bytes, why: str) -> None:
    assert why in refusal(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\u0000"', "\0"),
        (b" \r\n\t[ ] ", []),
        (b'{"a": {"a": 1}}', {"a": {"a": 1}}),
        (b'"[[[[' + b"[" * 100 + b'"', "[[[[" + "[" * 100),
        (b"[" + b"[]," * 100 + b"[]]", [[]] * 101),
        (b"9223372036854775808", 2**63),
        (b"-0.0", -0.0),
    ],
)
def test_what_is_odd_but_good(body: bytes, value: Any) -> None:
    assert parse(body) == value


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_the_deepest_that_is_good(opening: bytes) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    innermost = b"" if opening == b"[" else b"1"
    value = parse(opening * NESTING_MAX + innermost + closing * NESTING_MAX)
    depth = 0
    while isinstance(value, dict | list) and value:
        value = value["a"] if isinstance(value, dict) else value[0]
        depth += 1
    assert depth in (NESTING_MAX, NESTING_MAX - 1)


@pytest.mark.parametrize("body", [b"1e400", b"[-1e999]"])
def test_a_number_that_no_double_holds_is_no_infinity_in_disguise(body: bytes) -> None:
    """Good JSON by its grammar; its value is refused by any field that is a number."""
    value = parse(body)
    found = value[0] if isinstance(value, list) else value
    assert found in (float("inf"), float("-inf"))
