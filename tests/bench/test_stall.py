"""The pure parts of the fuzz by bodies, and the clock in the event loop."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import trio

from bench.body import PLACES, SHAPES, batch, generate, make
from bench.server import memory_bytes, reset_peak
from bench.stall import BODY_BYTES_MIN, SIZES_BYTES, Found, chosen
from bench.turns import Cell, Turns, run_with

NOT_JSON = {
    *("a tower", "a tower without end", "a number", "no end"),
    *("bad UTF-8 at the end", "integers of 4,000 digits"),
}
"""No JSON at all, or more of it than Python reads."""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_about_its_size(shape: str) -> None:
    value = SHAPES[shape](200_000)
    assert 150_000 <= len(value) <= 250_000
    if shape not in NOT_JSON:
        json.loads(value)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_takes_any_value(place: str) -> None:
    json.loads(make("ones", place, 1_000).body)


def test_the_same_seed_generates_the_same_requests() -> None:
    def some(seed: int) -> list[str]:
        random = Random(seed)
        return [generate(random, [1_000]).name for _ in range(50)]

    assert some(1) == some(1) != some(2)
    assert any("Prefer" in name for name in some(1))
    assert any("Idempotency-Key" in name for name in some(1))


def test_what_is_chosen_is_measured_too() -> None:
    assert max(len(one.body) for one in chosen()) > SIZES_BYTES[-1]
    assert json.loads(batch(3, 201, type="a").body) == {"jobs": [{"type": "a"}] * 3}


def test_memory_is_a_multiple_of_the_body_but_of_a_small_one() -> None:
    small, large = batch(1, 201, type="a"), make("ones", "all of a Job", 2 * BODY_BYTES_MIN)
    assert Found(small, 1.0, BODY_BYTES_MIN).memory_ratio == 1
    assert Found(large, 1.0, BODY_BYTES_MIN).memory_ratio == pytest.approx(0.5, abs=0.01)


@pytest.fixture
def cells(tmp_path: Path) -> tuple[Cell, Cell]:
    """One cell, as two processes see it."""
    return Cell(tmp_path / "turn"), Cell(tmp_path / "turn")


def test_a_peak_begins_anew() -> None:
    large = bytearray(b"x") * (64 << 20)
    del large
    reset_peak(os.getpid())
    begin = memory_bytes(os.getpid(), "VmHWM")
    assert begin - memory_bytes(os.getpid(), "VmRSS") < 16 << 20
    large = bytearray(b"x") * (64 << 20)
    assert len(large)
    assert memory_bytes(os.getpid(), "VmHWM") - begin > 32 << 20


def test_the_longest_turn_is_shared(cells: tuple[Cell, Cell]) -> None:
    cell, other = cells

    async def work() -> None:
        await trio.lowlevel.checkpoint()
        time.sleep(0.02)  # noqa: ASYNC251 - a turn that is too long is what is looked for
        await trio.lowlevel.checkpoint()

    trio.run(work, instruments=[Turns(cell)])
    assert 0.02 <= other.read() < 10
    other.write(0.0)
    assert cell.read() == 0


@pytest.fixture
def long_numbers() -> Iterator[None]:
    usual = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(usual)


@pytest.mark.usefixtures("long_numbers")
def test_what_keeps_the_loop_from_its_next_turn_counts_too(cells: tuple[Cell, Cell]) -> None:
    digits = "9" * 60_000

    def hold_the_lock() -> None:
        int(digits)

    took_s = 0.0

    async def work(how: int) -> int:
        nonlocal took_s
        await trio.sleep(0.01)
        cells[0].write(0.0)
        begin = time.perf_counter()
        await trio.to_thread.run_sync(hold_the_lock)
        took_s = time.perf_counter() - begin
        await trio.sleep(0.01)
        return how

    assert run_with(cells[0])(work, 5) == 5
    assert cells[1].read() > took_s / 2
