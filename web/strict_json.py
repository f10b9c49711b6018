"""JSON as strictly as the contract reads it (RFC 8259, I-JSON RFC 7493).

Refused with `malformed_json`: bad UTF-8, NaN and infinities, a key given twice, lone surrogates,
nesting over 64. The standard library's parser takes all of these but the first.
"""

import json
import re
from typing import Any, NoReturn

from storage.errors import Refusal

NESTING_MAX = 64
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""Only such an escape can make one: as bytes it would not be UTF-8."""


def parse(body: bytes) -> Any:
    """The value of a body.

    Raises:
        Refusal: `malformed_json`, with the place where it is known.
    """
    try:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise _malformed("it begins with a BOM")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise _malformed(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg}, line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise _malformed(f"it is nested deeper than {NESTING_MAX}") from None
    except ValueError as error:
        # Python refuses to convert integers of more than 4,300 digits.
        raise _malformed(str(error)) from None
    # Only as many levels as there are brackets: the walk is for the few that have so many.
    if body.count(b"{") + body.count(b"[") > NESTING_MAX and _depth(value) > NESTING_MAX:
        raise _malformed(f"it is nested deeper than {NESTING_MAX}")
    if _SURROGATE.search(body):
        _refuse_surrogates(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _malformed(f"the key {twice!r} is given twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not JSON")


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _malformed("it holds half of a surrogate pair") from None


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


def _malformed(why: str) -> Refusal:
    return Refusal("malformed_json", f"the body is not acceptable JSON: {why}")


# `json.loads` with hooks would make one for each body.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
