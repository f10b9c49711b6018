"""Ids: UUIDv7 as RFC 9562 lays it out, and growing whatever the clock does."""

from typing import Any
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from actors.identity import Ids


class SetClock:
    """A clock that is set by hand."""

    def __init__(self, now: int) -> None:
        self.us = now

    def now(self) -> int:
        return self.us

    def boot_us(self) -> int:
        return self.us

    async def wait_until(self, moment: int) -> None: ...


def ids_at(clock: Any, random: bytes = b"\xff" * 8) -> Ids:
    return Ids(clock, lambda n: random[:n])


def test_an_id_has_its_prefix() -> None:
    prefix, _, uuid = ids_at(SetClock(1))("job").partition("-")
    assert prefix == "job"
    assert str(UUID(uuid)) == uuid


def test_the_layout_is_that_of_the_rfc() -> None:
    # RFC 9562, appendix A.6: 2022-02-22T19:22:22Z is 0x017F22E279B0 ms.
    value = UUID(ids_at(SetClock(0x017F22E279B0 * 1000 + 500), b"\x00" * 8)("x")[2:])
    assert (value.version, value.variant) == (7, RFC_4122)
    assert value.int >> 80 == 0x017F22E279B0
    assert value.int >> 64 & 0xFFF == 500 * 4096 // 1000
    assert value.int & (1 << 62) - 1 == 0


def test_all_other_bits_are_random() -> None:
    value = UUID(ids_at(SetClock(1), b"\xff" * 8)("x")[2:])
    assert value.int & (1 << 62) - 1 == (1 << 62) - 1
    assert value.variant == RFC_4122


@given(st.lists(st.integers(0, 2**47 * 1000), min_size=2, max_size=20), st.binary(min_size=8))
def test_ids_grow_whatever_the_clock_does(moments: list[int], random: bytes) -> None:
    clock = SetClock(0)
    ids = ids_at(clock, random)
    made = []
    for moment in moments:
        clock.us = moment
        made.append(ids("job"))
    assert made == sorted(set(made))
    assert all(UUID(one[4:]).version == 7 for one in made)


def test_ids_of_one_moment_differ_also_without_luck() -> None:
    ids = ids_at(SetClock(1_800_000_000_000_000), b"\x00" * 8)
    assert len({ids("job") for _ in range(5000)}) == 5000


def test_the_kernel_is_asked_for_hundreds_of_ids_at_a_time() -> None:
    """Others are woken each time, without effect."""
    asked: list[int] = []

    def random_bytes(n: int) -> bytes:
        asked.append(n)
        return bytes(n)

    ids = Ids(SetClock(1), random_bytes)
    for _ in range(1_000):
        ids("job")
    assert len(asked) <= 2
    assert sum(asked) >= 8 * 1_000
