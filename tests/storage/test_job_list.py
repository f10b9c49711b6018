"""Lists of Jobs with long params: short pages, and never what a list has no room for."""

from typing import Any

import apsw
import pytest

from headway.model.job import ListedJob
from storage.job_list import (
    PAGE_BYTES_MAX,
    PARAMS_BYTES_MAX,
    STORED_PER_SHOWN,
    JobFilter,
    list_jobs,
)
from storage.jobs import find_job


def of_size(size_bytes: int) -> dict[str, str]:
    """Params that take so many bytes as they are stored."""
    return {"a": "x" * (size_bytes - len('{"a":""}'))}


def pages(connection: apsw.Connection, limit: int, **wanted: Any) -> list[list[ListedJob]]:
    found, cursor = list[list[ListedJob]](), None
    while True:
        page, cursor = list_jobs(connection, JobFilter(**wanted), limit=limit, cursor=cursor)
        found.append(page)
        if cursor is None:
            return found


@pytest.mark.parametrize(("over", "is_elided"), [(0, False), (1, True)])
def test_long_params_are_left_out_and_marked(
    connection: apsw.Connection, write: Any, put: Any, over: int, is_elided: bool
) -> None:
    params = of_size(PARAMS_BYTES_MAX + over)
    with write() as tx:
        job = put(tx, params=params, name="n", labels={"a": "b"})
    ((found,),) = pages(connection, 10)
    assert found.params_elided is is_elided
    assert found.params == ({} if is_elided else params)
    whole = find_job(connection, job.job_id)
    assert found.model_dump(exclude={"params"}) == {
        **whole.model_dump(exclude={"params"}),
        **({"params_elided": True} if is_elided else {}),
    }


def test_the_length_is_that_of_bytes(connection: apsw.Connection, write: Any, put: Any) -> None:
    with write() as tx:
        put(tx, params={"a": "숲" * (PARAMS_BYTES_MAX // 3)})
    ((found,),) = pages(connection, 10)
    assert found.params_elided


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_ends_when_it_has_its_bytes(
    connection: apsw.Connection, write: Any, put: Any, order: str
) -> None:
    with write() as tx:
        jobs = [put(tx, params=of_size(PARAMS_BYTES_MAX)) for _ in range(600)]
    found = pages(connection, 500, order=order)
    assert max(map(len, found)) < PAGE_BYTES_MAX / PARAMS_BYTES_MAX + 1
    assert len(found) > 2
    met = [job.position for page in found for job in page]
    assert met == sorted((job.position for job in jobs), reverse=order == "desc")


def test_short_jobs_fill_the_page_that_is_asked_for(
    connection: apsw.Connection, write: Any, put: Any
) -> None:
    with write() as tx:
        for _ in range(501):
            put(tx, params=of_size(1_000))
    assert list(map(len, pages(connection, 500))) == [500, 1]


def test_what_is_read_past_counts_too(connection: apsw.Connection, write: Any, put: Any) -> None:
    with write() as tx:
        for _ in range(100):
            put(tx, params=of_size(1_000_000))
    found = pages(connection, 500)
    assert sum(map(len, found)) == 100
    assert max(map(len, found)) <= PAGE_BYTES_MAX * STORED_PER_SHOWN / 1_000_000 + 1
