"""What the tests of the storage layer share: a database that costs 2 ms, and Jobs for it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from headway.model.job import Job, NewJob
from storage.database import configure, open_writer
from storage.intents import RunIntent, insert_run
from storage.jobs import insert_job
from storage.transaction import Transaction, write_transaction

Write = Callable[..., AbstractContextManager[Transaction]]


@pytest.fixture(scope="session")
def blank() -> bytes:
    """A migrated database, as the bytes of its file: migrating anew costs 15 ms."""
    connection = open_writer(Path(":memory:"))
    made = connection.serialize("main")
    connection.close()
    return made


@pytest.fixture
def path(tmp_path: Path, blank: bytes) -> Path:
    """A database file without Jobs."""
    path = tmp_path / "headway.db"
    path.write_bytes(blank)
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[apsw.Connection]:
    """The writer's connection to it."""
    connection = open_writer(path)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def fresh(blank: bytes) -> Callable[[], apsw.Connection]:
    """Makes as many databases in memory as a property has examples."""

    def fresh() -> apsw.Connection:
        connection = apsw.Connection(":memory:")
        connection.deserialize("main", blank)
        connection.execute("PRAGMA foreign_keys = ON")
        configure(connection)
        return connection

    return fresh


@pytest.fixture(scope="session")
def now() -> int:
    """The moment of every transaction that names none (µs)."""
    return 1_800_000_000_000_000


@pytest.fixture
def write(connection: apsw.Connection, now: int) -> Write:
    """One write transaction of the file's database."""

    @contextmanager
    def write(at: int = now) -> Iterator[Transaction]:
        with write_transaction(connection, at) as tx:
            yield tx

    return write


@pytest.fixture(scope="session")
def put() -> Callable[..., Job]:
    """Queue a Job: `put(tx, "job-1", priority=3)`."""
    numbers = count(1)

    def put(tx: Transaction, job_id: str | None = None, **fields: Any) -> Job:
        origin, retry_of = fields.pop("origin", "api"), fields.pop("retry_of", None)
        new = NewJob(**{"type": "story", **fields})
        return insert_job(
            tx, job_id or f"job-{next(numbers)}", new, origin=origin, retry_of=retry_of
        )

    return put


@pytest.fixture(scope="session")
def intend() -> Callable[..., RunIntent]:
    """Write the intent of a run: `intend(tx, "run-1", job_id="job-1")`."""

    def intend(tx: Transaction, run_id: str, **fields: Any) -> RunIntent:
        eligible_at = fields.pop("eligible_at", tx.now)
        server_id = fields.pop("server_id", "srv-1")
        argv = fields.pop("argv", ["story"])
        intent = RunIntent(
            **{
                "run_id": run_id,
                "job_id": None,
                "type": "story",
                "lane": "queue",
                "params": {},
                "timeout_s": 60.0,
                "boot_id": "boot-1",
                **fields,
            }
        )
        insert_run(tx, intent, server_id=server_id, argv=argv, eligible_at=eligible_at)
        return intent

    return intend


@pytest.fixture(scope="session")
def plan() -> Callable[..., str]:
    """How SQLite would go about a statement: EXPLAIN QUERY PLAN, one step a line."""

    def plan(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> str:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)
        return "\n".join(str(row[3]) for row in rows)

    return plan


@pytest.fixture
def spied() -> Callable[[apsw.Connection], list[tuple[str, Any]]]:
    """From now on every question that is put to the connection, with its bindings."""

    def spied(connection: apsw.Connection) -> list[tuple[str, Any]]:
        seen: list[tuple[str, Any]] = []

        def trace(_: Any, sql: str, bindings: Any) -> bool:
            if sql.startswith("SELECT"):
                seen.append((sql, bindings))
            return True

        connection.exec_trace = trace
        return seen

    return spied
