"""Find where a value does not fit its schema, within bounds.

The validator collects every error before it returns the first, at 10 µs and 1.5 KB each, and holds
the interpreter's lock for a quarter of that time. Therefore it receives at most `VALUES_MAX` values
at once: of a larger value, one part after another until an error is found.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind

from config.parameter import Trouble, advice, compile_schema

VALUES_MAX = 500
_WHOLE = (
    *("type", "enum", "const", "minItems", "maxItems", "uniqueItems"),
    *("minProperties", "maxProperties", "required"),
)
"""Keywords about an array or object as a whole: at most one error each, whatever its size."""
_SOMEWHERE = "correct it: something in it does not fit its schema, and it is too large to say where"


def count_values(value: Any, most: int) -> int:
    """The number of values in a value, itself included; counting stops beyond `most`."""
    count, left = 0, [value]
    while left and count + len(left) <= most:
        item = left.pop()
        count += 1
        if type(item) is list:
            left += item
        elif type(item) is dict:
            left += item.values()
    return count + len(left)


def faults_in(
    value: Any, schema: Mapping[str, Any], validator: jsonschema_rs.Validator
) -> Iterator[Trouble]:
    """The faults of a value, by the validator of its schema."""
    if count_values(value, VALUES_MAX) <= VALUES_MAX:
        for error in validator.iter_errors(value):
            yield from advice(error)
        return
    if validator.is_valid(value):
        return
    found = [*_faults_of_the_whole(value, schema), *_faults_of_parts(value, validator)]
    yield from found or [((), _SOMEWHERE)]


def _faults_of_the_whole(value: Any, schema: Mapping[str, Any]) -> Iterator[Trouble]:
    whole = compile_schema({key: schema[key] for key in _WHOLE if key in schema})
    for error in whole.iter_errors(value):
        yield from advice(error)


def _faults_of_parts(value: Any, validator: jsonschema_rs.Validator) -> list[Trouble]:
    """The faults of the first part that has some."""
    for begin, part in _parts(value):
        found = list[Trouble]()
        for error in validator.iter_errors(part):
            # A fault of a part as a whole is not one of the value.
            if error.instance_path or isinstance(error.kind, Kind.AdditionalProperties):
                found += advice(error)
        if found and isinstance(part, list):
            return [((begin + int(path[0]), *path[1:]), message) for path, message in found]
        if found:
            return found
    return []


def _parts(value: Any) -> Iterator[tuple[int, list[Any] | dict[str, Any]]]:
    """Parts of an array or object, each with the index of its first item.

    An item that is too large itself is in none of them.
    """
    items = list(enumerate(value)) if isinstance(value, list) else list(value.items())
    begin, left = 0, VALUES_MAX
    for end, (_, item) in enumerate(items):
        size = count_values(item, VALUES_MAX)
        if size > left:
            yield begin, _part(value, items[begin:end])
            begin, left = end, VALUES_MAX
        if size > VALUES_MAX:
            begin = end + 1
        else:
            left -= size
    yield begin, _part(value, items[begin:])


def _part(value: Any, items: list[tuple[Any, Any]]) -> list[Any] | dict[str, Any]:
    return [item for _, item in items] if isinstance(value, list) else dict(items)
