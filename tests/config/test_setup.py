"""What is configured, and what was set over HTTP instead."""

from pathlib import Path

import apsw
import pytest

from config.job_type import JobType
from config.setup import Setup
from headway.model.problem import Refusal
from storage import scheduler
from storage.database import open_writer
from storage.transaction import write_transaction


def job_type(name: str, concurrency: int | None = None) -> JobType:
    return JobType.model_validate({"name": name, "command": ["true"], "concurrency": concurrency})


@pytest.fixture
def setup() -> Setup:
    return Setup(job_types={"a": job_type("a"), "b": job_type("b", 3)}, concurrency=2)


@pytest.fixture
def connection() -> apsw.Connection:
    return open_writer(Path(":memory:"))


def test_a_type_is_found_by_its_name(setup: Setup) -> None:
    assert setup.job_type("b").concurrency == 3


def test_a_type_that_is_no_longer_configured_is_refused(setup: Setup) -> None:
    with pytest.raises(Refusal) as refused:
        setup.job_type("c")
    assert refused.value.code == "unknown_type"


def test_without_overrides_the_configuration_is_in_force(
    setup: Setup, connection: apsw.Connection
) -> None:
    found = setup.in_force(connection)
    assert (found.concurrency, found.types, found.overridden) == (2, {"a": None, "b": 3}, [])


def test_what_was_set_over_http_is_in_force_and_named(
    setup: Setup, connection: apsw.Connection
) -> None:
    with write_transaction(connection, 1) as tx:
        scheduler.override_concurrency(tx, 7)
        scheduler.override_type_limit(tx, "a", 1)
    found = setup.in_force(connection)
    assert (found.concurrency, found.types) == (7, {"a": 1, "b": 3})
    assert found.overridden == ["concurrency", "types.a"]


def test_an_override_of_a_type_that_has_gone_limits_nothing(
    setup: Setup, connection: apsw.Connection
) -> None:
    with write_transaction(connection, 1) as tx:
        scheduler.override_type_limit(tx, "gone", 1)
    assert setup.in_force(connection).types == {"a": None, "b": 3}
