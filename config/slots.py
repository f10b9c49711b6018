"""Sizes of the arguments of a process, and what Linux permits (execve(2))."""

from collections.abc import Sequence
from typing import Any

ARGUMENT_BYTES_MAX = 128 * 1024
"""Linux rejects a longer argument, its final NUL included (MAX_ARG_STRLEN)."""
ARGV_BYTES_MAX = 1024 * 1024
"""Half of what Linux permits by default; the rest is for the environment."""
STDIN_BYTES_MAX = 1024 * 1024
"""As much as on a command line: each step that holds the interpreter's lock takes 5 ms a MiB."""
_POINTER_BYTES = 8  # each slot also costs a pointer, which the kernel counts
_SMALL_CHARS, _SMALL_SLOTS = 16 * 1024, 256  # at 4 bytes a character far below both limits
_SHORT, _SHORT_CHARS = (int, float, bool, type(None)), 30
"""One value of these is one slot of at most 30 characters; more than 256 of them are counted."""


def is_small(value: Any) -> bool:
    """Whether a value is short, as an argument too."""
    kind = type(value)
    return kind in _SHORT or (kind is str and len(value) <= _SHORT_CHARS)


def are_terse(words: Sequence[str]) -> bool:
    """Whether fixed words and one small value for each stay far below both limits."""
    return len(words) < _SMALL_SLOTS and sum(map(len, words)) < _SMALL_CHARS // 2


def are_small(slots: Sequence[str]) -> bool:
    """Whether arguments stay far below both limits."""
    return len(slots) < _SMALL_SLOTS and sum(map(len, slots)) < _SMALL_CHARS


def slot_bytes(slot: str) -> int:
    """The size of an argument with the NUL at its end."""
    return len(slot.encode()) + 1


def argv_bytes(slots: Sequence[str]) -> int:
    """The size of a command line, as the kernel counts it."""
    return sum(map(slot_bytes, slots)) + len(slots) * _POINTER_BYTES
