"""The size of a JSON value: a light one is checked and written quickly, on any thread."""

from typing import Any

LIGHT_BYTES_MAX = 256 * 1024
LIGHT_VALUES_MAX = 2_000
"""The limits for the event loop: reading and checking take a few milliseconds at most."""


def is_light(value: Any) -> bool:
    """Whether a value is small enough for the event loop; stops counting when it is not."""
    values, chars, left = 0, 0, [value]
    while left:
        item = left.pop()
        values += 1
        if type(item) is str:
            chars += len(item)
        elif type(item) is list:
            left += item
        elif type(item) is dict:
            chars += sum(map(len, item))
            left += item.values()
        if values + len(left) > LIGHT_VALUES_MAX or chars > LIGHT_BYTES_MAX:
            return False
    return True
