"""Coroutines that are run without an event loop."""

import inspect
from collections.abc import AsyncGenerator, Generator
from types import coroutine

import pytest

from headway.client.blocking import iterate, run
from headway.client.client import Client
from headway.model.job import Job


async def three(ended: list[str]) -> AsyncGenerator[int, None]:
    try:
        for number in range(3):
            yield number
    finally:
        ended.append("closed")


def test_a_coroutine_that_never_suspends_has_its_result() -> None:
    async def answer() -> int:
        return 42

    assert run(answer()) == 42


def test_a_coroutine_that_suspends_is_a_bug() -> None:
    @coroutine
    def suspend() -> Generator[None, None, None]:
        yield

    async def wait() -> None:
        await suspend()

    with pytest.raises(AssertionError, match="event loop"):
        run(wait())


def test_an_iterator_that_is_closed_closes_its_generator() -> None:
    ended: list[str] = []
    items = iterate(three(ended))
    assert next(items) == 0
    items.close()
    assert ended == ["closed"]
    assert list(iterate(three(ended))) == [0, 1, 2]


def test_help_shows_the_blocking_types() -> None:
    assert inspect.signature(Client.get_job).return_annotation is Job
    assert inspect.signature(Client.watch).return_annotation == Generator[Job, None, None]
