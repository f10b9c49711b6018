"""Sizes of arguments: quick answers are never wrong."""

import os
import subprocess

import pytest

from config.slots import ARGUMENT_BYTES_MAX, are_small, are_terse, argv_bytes, is_small, slot_bytes


@pytest.mark.parametrize(
    ("value", "small"), [(1, True), (None, True), ("x" * 30, True), ("x" * 31, False), ([], False)]
)
def test_only_short_scalars_are_small(value: object, small: bool) -> None:
    assert is_small(value) is small


def test_bytes_count_not_characters() -> None:
    assert slot_bytes("a") == 2
    assert slot_bytes("한") == 4
    assert argv_bytes(["a", "한"]) == 2 + 4 + 2 * 8


def test_what_is_small_is_far_below_the_limits() -> None:
    assert are_small(["x" * 64] * 255)
    assert not are_small(["x"] * 256)
    assert not are_small(["x" * 16 * 1024])
    assert are_terse(["x" * 31] * 255)
    assert not are_terse(["x" * 33] * 255)


def test_linux_takes_the_longest_argument_and_no_longer_one() -> None:
    longest = "x" * (ARGUMENT_BYTES_MAX - 1)
    assert subprocess.run(["/bin/true", longest], env={"PATH": os.defpath}).returncode == 0
    with pytest.raises(OSError, match="too long"):
        subprocess.run(["/bin/true", longest + "x"], env={"PATH": os.defpath})
