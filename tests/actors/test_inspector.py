"""All pages of a large database are checked once the server is ready; damage there ends it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio

from actors import inspector
from actors.actor import Mailbox
from actors.clock import VirtualClock
from actors.inspector import Inspector
from actors.runner import InlineRunner, ThreadRunner
from storage import damage
from storage.damage import PageCheck
from storage.database import DATABASE_NAME, Runner, open_reader
from storage.errors import StorageFailed
from tests.actors.house import House

DEADLINE_S = 20


@pytest.fixture
async def path(house: House) -> Path:
    """A database that a server has left."""
    async with house.running():
        await house.submit("a")
    path: Path = house.path / DATABASE_NAME
    return path


@pytest.fixture
def all_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage, "CHECKED_AT_ONCE_BYTES", 0)


def inspector_of(path: Path, runner: Runner) -> Inspector:
    return Inspector(
        path,
        open_reader=open_reader,
        runner=runner,
        scheduler=Mailbox("scheduler", 10),
        clock=VirtualClock(),
        checked_at=None,
    )


async def test_a_small_database_was_checked_by_the_start(house: House) -> None:
    async with house.running() as context:
        assert context.inspector.checked_at == context.started_at
        await context.inspector.run(context.draining)


async def test_a_large_one_is_checked_afterwards(
    house: House, path: Path, all_is_large: None
) -> None:
    async with house.running() as context:
        assert context.inspector.checked_at is None
        await context.inspector.run(context.draining)
        assert context.inspector.checked_at == house.clock.now()


async def test_damage_ends_the_server_with_page_and_table(
    house: House, path: Path, all_is_large: None
) -> None:
    index = spoil_an_index(path)

    async def live() -> None:
        async with house.running() as context:
            await context.inspector.run(context.draining)
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await live()
    (why,) = leaves(caught.value)
    assert isinstance(why, StorageFailed)
    assert f"index {index}: " in str(why)
    assert "page " in str(why)
    assert "headway backup" in str(why)


def spoil_an_index(path: Path) -> str:
    """Write nonsense over an index that no start reads."""
    name = "jobs_retry_of"
    connection = apsw.Connection(str(path))
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).get
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xde\xad" * 2048)
    return name


def leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


async def test_a_check_that_was_given_up_begins_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "STEPS_BETWEEN_PAUSES", 10)
    monkeypatch.setattr(damage, "WAL_GROWTH_BYTES_MAX", -1)
    checked = inspector_of(path, InlineRunner())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(checked.run, trio.Event())
        await trio.testing.wait_all_tasks_blocked()
        assert checked.checked_at is None
        monkeypatch.setattr(damage, "WAL_GROWTH_BYTES_MAX", 0)
        await trio.sleep(inspector.RETRY_S)
        await trio.testing.wait_all_tasks_blocked()
        assert checked.checked_at is not None


def reads(say: Callable[[], None]) -> dict[str, Any]:
    """It stays in the pause after its first piece."""

    def pause(self: PageCheck, _: float) -> bool:
        say()
        return self._stopped.wait(DEADLINE_S)

    return {"_pause": pause}


def asks_sqlite(say: Callable[[], None]) -> dict[str, Any]:
    """It stays in its question to SQLite."""

    def pause(self: PageCheck) -> Callable[[], bool]:
        def until_stopped() -> bool:
            say()
            self._stopped.wait(DEADLINE_S)
            return True

        return until_stopped

    return {"_pause_or_end": pause}


@pytest.mark.parametrize("how", ["drain", "cancel"])
@pytest.mark.parametrize("where", [reads, asks_sqlite])
async def test_a_check_on_its_way_ends_with_the_server(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, where: Any, how: str
) -> None:
    begun, draining = trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()
    monkeypatch.setattr(damage, "STEPS_BETWEEN_PAUSES", 10)
    for name, method in where(lambda: token.run_sync_soon(begun.set)).items():
        monkeypatch.setattr(PageCheck, name, method)
    began = time.monotonic()
    with ThreadRunner("checker") as runner:
        checked = inspector_of(data_dir / DATABASE_NAME, runner)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(checked.run, draining)
            await begun.wait()
            if how == "drain":
                draining.set()
            else:
                nursery.cancel_scope.cancel()
    assert checked.checked_at is None
    assert time.monotonic() - began < DEADLINE_S  # it was stopped, and did not end by itself
