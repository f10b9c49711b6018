"""Parse arguments into JSON: `--param k=v`, `--label k=v`, `--run-at`.

A value is JSON where the parameter's schema requires something other than a string, and the text
itself where it does not; so `--param zip=00501` keeps its zeros. Only the server checks whether the
result fits the schema.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_JSON_KINDS = frozenset({"integer", "number", "boolean", "array", "object", "null"})
_EXAMPLE = {
    "integer": "3",
    "number": "0.5",
    "boolean": "true or false",
    "array": '["a", "b"]',
    "object": '{"key": "value"}',
    "null": "null",
}


class UsageError(Exception):
    """An argument is wrong; the message says what to type instead."""


def parse_params(
    given: str | None, pairs: Sequence[str], schema: Mapping[str, Any]
) -> dict[str, Any]:
    """The params object: `--params` as its base, each `--param` pair on top of it.

    `schema` is the job type's. A repeated name appends to an array, and is rejected otherwise.
    """
    base = _load("--params", given) if given is not None else {}
    if not isinstance(base, dict):
        raise UsageError('--params wants a JSON object, like {"topic": "lighthouse"}')
    rules = schema.get("properties", {})
    named: dict[str, Any] = {}
    for name, text in split_pairs("--param", pairs):
        rule = rules.get(name, {})
        kinds = kinds_of(rule)
        if "array" in kinds:
            named[name] = [*named.get(name, []), *_items(name, text, rule)]
        elif name in named:
            raise UsageError(f"--param {name} is given twice, and it is not a list: give it once")
        else:
            named[name] = _value(f"--param {name}", text, kinds)
    return {**base, **named}


def split_pairs(option: str, pairs: Sequence[str]) -> list[tuple[str, str]]:
    """Each `key=value`, split at its first equals sign."""
    split = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} wants key=value, not {pair!r}")
        split.append((key, value))
    return split


def parse_labels(pairs: Sequence[str]) -> dict[str, str]:
    """The labels object; a key that is given twice is rejected."""
    labels = split_pairs("--label", pairs)
    if len(dict(labels)) < len(labels):
        raise UsageError("a --label key is given twice: a Job has one value for each key")
    return dict(labels)


def parse_time(option: str, text: str) -> datetime:
    """An RFC 3339 time, as the server accepts it.

    Without an offset it would mean another moment elsewhere, so it is rejected.
    """
    example = f"write {option} like 2031-05-01T08:00:00Z, or with an offset like +09:00"
    if (time := _time(text)) is not None:
        return time
    if _time(f"{text}Z") is not None:
        raise UsageError(f"{text!r} has no time zone: {example}")
    raise UsageError(f"{text!r} is no time: {example}")


def _time(text: str) -> datetime | None:
    # Imported here, so that `--help` stays quick.
    from pydantic import TypeAdapter, ValidationError

    from headway.model.field import Time

    try:
        return TypeAdapter[datetime](Time).validate_python(text)
    except ValidationError:
        return None


def kinds_of(rule: object) -> frozenset[str]:
    """The JSON types that a schema allows, as far as they can be determined; empty means any."""
    if not isinstance(rule, Mapping):
        return frozenset()
    declared = rule.get("type")
    if isinstance(declared, str):
        return frozenset({declared})
    if isinstance(declared, list):
        return frozenset(declared)
    values = [*rule.get("enum", []), *([rule["const"]] if "const" in rule else [])]
    either = [*rule.get("anyOf", []), *rule.get("oneOf", [])]
    return frozenset(map(_kind, values)).union(*map(kinds_of, either))


def _items(name: str, text: str, rule: Mapping[str, Any]) -> list[Any]:
    """The items of a JSON array, or one item."""
    if text.lstrip().startswith("["):
        whole = _load(f"--param {name}", text)
        return list(whole)
    return [_value(f"--param {name}", text, kinds_of(rule.get("items")))]


def _value(option: str, text: str, kinds: frozenset[str]) -> Any:
    if "string" in kinds or not kinds & _JSON_KINDS:
        return text
    return _load(option, text, " or ".join(_EXAMPLE[kind] for kind in sorted(kinds & _JSON_KINDS)))


def _load(option: str, text: str, example: str = '{"topic": "lighthouse"}') -> Any:
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise UsageError(f"{option} wants JSON, like {example}; {text!r} is not") from None


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _kind(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case None:
            return "null"
        case _:
            return "object"
