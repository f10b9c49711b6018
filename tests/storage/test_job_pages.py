"""Pages of Jobs: each is met once, in order, along an index."""

from collections.abc import Callable
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.model.job import JobStatus
from headway.model.problem import Refusal
from storage import job_list, jobs
from storage.job_list import JobFilter, list_jobs
from storage.transaction import write_transaction
from tests.storage.job_status import Q, force

WALK_PAGES_MAX = 100


def walk(connection: apsw.Connection, wanted: JobFilter, limit: int) -> list[int]:
    positions: list[int] = []
    cursor = None
    for _ in range(WALK_PAGES_MAX):
        page, cursor = list_jobs(connection, wanted, limit=limit, cursor=cursor)
        assert len(page) <= limit
        positions += [job.position for job in page]
        if cursor is None:
            return positions
    raise AssertionError("the walk does not end")


LISTED = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(list(JobStatus)),
        st.sampled_from([None, "Blue Sea", "ÉTÉ 바다"]),
        st.dictionaries(st.sampled_from(["k", "m"]), st.sampled_from(["1", "2"])),
    ),
    max_size=10,
)


@given(
    LISTED,
    st.sets(st.sampled_from(list(JobStatus)), max_size=2),
    st.sets(st.sampled_from(["a", "b"]), max_size=1),
    st.sampled_from([(), ("k=1",), ("k=1", "m=2")]),
    st.sampled_from([None, "SEA", "été", "바", "job-", "a", "%"]),
    st.sampled_from(["asc", "desc"]),
    st.integers(1, 4),
)
def test_a_walk_meets_what_the_filter_names_once_and_in_order(
    fresh: Callable[[], apsw.Connection],
    put: Any,
    now: int,
    rows: list[Any],
    statuses: set[JobStatus],
    types: set[str],
    labels: tuple[str, ...],
    text: str | None,
    order: Any,
    limit: int,
) -> None:
    connection = fresh()
    expected = []
    for type_, status, name, given_labels in rows:
        with write_transaction(connection, now) as tx:
            job = put(tx, type=type_, name=name, labels=given_labels)
        force(connection, job.job_id, status)
        found = any(
            text is None or text.casefold() in field.casefold()
            for field in (name or "", job.job_id, type_)
        )
        if (
            (not statuses or status in statuses)
            and (not types or type_ in types)
            and all(f"{key}" in [f"{k}={v}" for k, v in given_labels.items()] for key in labels)
            and found
        ):
            expected.append(job.position)
    wanted = JobFilter(
        statuses=tuple(statuses), types=tuple(types), labels=labels, text=text, order=order
    )
    assert walk(connection, wanted, limit) == sorted(expected, reverse=order == "desc")
    connection.close()


def test_a_walk_meets_every_job_that_was_there_throughout(
    connection: apsw.Connection, write: Any, put: Any
) -> None:
    with write() as tx:
        old = [put(tx).position for _ in range(6)]
    page, cursor = list_jobs(connection, JobFilter(), limit=2, cursor=None)
    with write() as tx:
        put(tx)
    force(connection, page[0].job_id, JobStatus.FAILED)
    seen = [job.position for job in page]
    while cursor is not None and len(seen) <= len(old):
        page, cursor = list_jobs(connection, JobFilter(), limit=2, cursor=cursor)
        seen += [job.position for job in page]
    assert seen == old[::-1]


def test_the_retries_of_a_job(connection: apsw.Connection, write: Any, put: Any) -> None:
    with write() as tx:
        first = put(tx)
        again = [put(tx, retry_of=first.job_id) for _ in range(3)]
        put(tx, retry_of=again[0].job_id)
    jobs.cancel_queued(tx, again[1].job_id)
    wanted = JobFilter(retry_of=first.job_id)
    assert walk(connection, wanted, 2) == [job.position for job in reversed(again)]
    wanted = JobFilter(retry_of=first.job_id, statuses=(Q,), order="asc")
    assert walk(connection, wanted, 1) == [again[0].position, again[2].position]
    assert walk(connection, JobFilter(retry_of="job-none"), 1) == []


@pytest.mark.parametrize("cursor", ["", "x", "é", "LTE", "====", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
def test_a_cursor_that_is_not_ours(connection: apsw.Connection, cursor: str) -> None:
    with pytest.raises(Refusal) as caught:
        list_jobs(connection, JobFilter(), limit=1, cursor=cursor)
    assert caught.value.code == "invalid"


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("cursor", [None, "Mw"])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "USING INTEGER PRIMARY KEY|SCAN jobs"),
        ({"statuses": (Q,)}, "jobs_status (status=?"),
        ({"types": ("story",)}, "jobs_type (type=?"),
        ({"retry_of": "job-1", "statuses": (Q,)}, "jobs_retry_of (retry_of=?"),
        ({"labels": ("a=1",)}, "sqlite_autoindex_job_labels_1|PRIMARY KEY (label=?"),
    ],
)
def test_a_page_is_a_walk_along_the_order_of_arrival(
    connection: apsw.Connection,
    spied: Any,
    plan: Any,
    wanted: dict[str, Any],
    index: str,
    order: Any,
    cursor: str | None,
) -> None:
    seen = spied(connection)
    list_jobs(connection, JobFilter(order=order, **wanted), limit=50, cursor=cursor)
    steps = plan(connection, *seen[-1])
    assert any(name in steps for name in index.split("|")), steps
    assert "TEMP B-TREE" not in steps


def test_counts_name_every_status(connection: apsw.Connection, write: Any, put: Any) -> None:
    with write() as tx:
        put(tx)
        put(tx, type="other")
        jobs.cancel_queued(tx, put(tx).job_id)
    assert job_list.count_by_status(connection) == {
        "QUEUED": 2,
        "RUNNING": 0,
        "COMPLETED": 0,
        "FAILED": 0,
        "SKIPPED": 0,
        "CANCELLED": 1,
    }
