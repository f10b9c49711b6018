"""How much a JSON value holds: what is light is checked and written in no time, on any thread."""

from typing import Any

LIGHT_BYTES_MAX = 256 * 1024
LIGHT_VALUES_MAX = 2_000
"""So much can be read and checked on the event loop, in a few milliseconds at most."""


def is_light(value: Any) -> bool:
    """Whether it is small enough for the event loop; as soon as it is not, the count ends."""
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
