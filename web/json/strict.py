"""Parse JSON as strictly as the contract defines it (RFC 8259, I-JSON RFC 7493).

Rejected with `malformed_json`: bad UTF-8, NaN and infinities, a key given twice, lone surrogates,
nesting over 64. The standard library's parser accepts all of these but the first. The limits of
size are in `size.py`.
"""

import json
import re
import sys
from typing import Any, NoReturn

from headway.model.problem import Refusal
from web.json.size import NESTING_MAX, too_deep

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""The escape of a surrogate; one in bytes is not UTF-8."""
_DIGITS = 40
"""No integer of so many digits is accepted anywhere; converting it takes quadratic time."""
_SHORT_BYTES = 4096
"""In a shorter text integers cannot take long."""


def parse(body: bytes | bytearray) -> Any:
    """The value of a body.

    Raises:
        Refusal: `malformed_json`, with the place where it is known.
    """
    try:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise malformed("it begins with a BOM")
        value = (CAREFUL if len(body) > _SHORT_BYTES else PLAIN).decode(text)
    except UnicodeDecodeError as error:
        raise malformed(f"byte {error.start} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise refusal_of(error) from None
    # Only as many levels as there are brackets: the walk is for the few that have so many.
    may_be_deep = body.count(b"{") + body.count(b"[") > NESTING_MAX
    check(
        value,
        nesting_max=NESTING_MAX if may_be_deep else None,
        may_have_surrogates=_SURROGATE.search(body) is not None,
    )
    return value


def refusal_of(error: ValueError | RecursionError) -> Refusal:
    """The refusal of a text that the parser rejects."""
    if isinstance(error, json.JSONDecodeError):
        return malformed(f"{error.msg}, line {error.lineno} column {error.colno}")
    if isinstance(error, RecursionError):
        return too_deep()
    # Python refuses to convert integers of more than 4,300 digits.
    return malformed(str(error))


def check(value: Any, *, nesting_max: int | None, may_have_surrogates: bool) -> None:
    """Raise if a parsed value is not acceptable. `nesting_max` None: its depth is known to be.

    Raises:
        Refusal: `malformed_json`.
    """
    if nesting_max is not None and _depth(value) > nesting_max:
        raise too_deep()
    if may_have_surrogates and _has_surrogate(value):
        raise malformed("it holds half of a surrogate pair")


def malformed(why: str) -> Refusal:
    """The refusal of a body that is no JSON, or ambiguous."""
    return Refusal("malformed_json", f"the body is not acceptable JSON: {why}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise malformed(f"the key {twice!r} is given twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise malformed(f"{name} is not JSON")


def _bounded_integer(text: str) -> int:
    """An integer; for a long one another that is out of every range as well."""
    if len(text) > sys.get_int_max_str_digits():
        return int(text)  # raises ValueError
    return int(text[: _DIGITS + 1])


def _has_surrogate(value: Any) -> bool:
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            try:
                item.encode()
            except UnicodeEncodeError:
                return True
        elif isinstance(item, dict):
            left += item
            left += item.values()
        elif isinstance(item, list):
            left += item
    return False


def _depth(value: Any) -> int:
    depth = 0
    level = [value]
    while level:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not any(isinstance(item, dict | list) for item in level):
            return depth
        depth += 1
        level = inner
    return depth


# `json.loads` with hooks would make one for each body.
PLAIN = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
CAREFUL = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_int=_bounded_integer
)
"""As `PLAIN`, in linear time: integers that are out of every range have other values."""
