"""Shared by the tests of the actors: databases, imagined processes, virtual time, failing disks."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest
import structlog
import trio
from trio.testing import MockClock

from storage.database import DATABASE_NAME, open_reader, open_writer
from tests.actors.desk import Desk
from tests.actors.house import House
from tests.imagined import FakeHost, Program, SettableClock


@pytest.fixture(scope="session", autouse=True)
def silent_log() -> None:
    """A deliberate crash needs no log, and rendering its traceback costs 200 ms."""

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    structlog.configure(processors=[drop])


@pytest.fixture
def settable_clock() -> SettableClock:
    """Virtual time that can be set."""
    return SettableClock()


@pytest.fixture(scope="session")
def blank() -> bytes:
    """A migrated database, as the bytes of its file."""
    connection = open_writer(Path(":memory:"))
    made = connection.serialize("main")
    connection.close()
    return made


@pytest.fixture(scope="session")
def fresh(blank: bytes) -> Callable[[], apsw.Connection]:
    """Makes as many databases in memory as a property has examples."""

    def fresh() -> apsw.Connection:
        connection = apsw.Connection(":memory:")
        connection.deserialize("main", blank)
        return connection

    return fresh


@pytest.fixture
def data_dir(tmp_path: Path, blank: bytes) -> Path:
    """A data directory in which a server has been once."""
    (tmp_path / DATABASE_NAME).write_bytes(blank)
    return tmp_path


@pytest.fixture
def program() -> type[Program]:
    """What an imagined program does: `house.host.programs["a"] = program(lasts_s=5)`."""
    return Program


@pytest.fixture
async def host(autojump_clock: MockClock) -> AsyncIterator[FakeHost]:
    """Imagined processes. Whatever still runs goes with the test."""
    async with trio.open_nursery() as nursery:
        yield FakeHost(nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def house(host: FakeHost, data_dir: Path) -> AsyncIterator[House]:
    """The whole server without its port, on virtual time."""
    house = House(data_dir, host)
    yield house
    house.reader.close()


@pytest.fixture(scope="session")
def make_desk(blank: bytes) -> Callable[..., Desk]:
    """A desk with a database in memory: as many as a property has examples."""

    def make_desk(**options: Any) -> Desk:
        connection = apsw.Connection(":memory:")
        connection.deserialize("main", blank)
        connection.execute("PRAGMA foreign_keys = ON")
        return Desk(connection, **options)

    return make_desk


@pytest.fixture
def desk(data_dir: Path) -> Iterator[Desk]:
    """A desk with one slot and a database file."""
    connection = open_writer(data_dir / DATABASE_NAME)
    yield Desk(connection)
    connection.close()


@pytest.fixture
def reader(data_dir: Path) -> Iterator[apsw.Connection]:
    """A reading connection to the same file."""
    connection = open_reader(data_dir / DATABASE_NAME)
    yield connection
    connection.close()


class FailingFile(apsw.VFSFile):
    """Writes to it fail with the error that its disk has been given."""

    def __init__(self, disk: "FailingDisk", name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data: Any, offset: int) -> None:
        if self._disk.error is not None and self._disk.left > 0:
            self._disk.left -= 1
            raise self._disk.error("as the test wants it")
        super().xWrite(data, offset)


class FailingDisk(apsw.VFS):
    """A disk that works until `error` is set (apsw.FullError, apsw.IOError)."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.error: type[apsw.Error] | None = None
        self.left = 1_000_000  # writes that will fail

    def xOpen(self, name: Any, flags: list[int]) -> FailingFile:
        return FailingFile(self, name, flags)


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    """A disk to put a database on: `house.vfs = disk.name`."""
    disk = FailingDisk("failing")
    yield disk
    with suppress(apsw.Error):
        disk.unregister()


@pytest.fixture
def long(house: House, program: Any) -> Any:
    """Programs of type a last until they are ended."""
    house.host.programs["a"] = program(lasts_s=None)
    return house
