"""A search for a Job's id uses the index over ids."""

from typing import Any

import apsw
import pytest

from storage.job_id import id_beginning
from storage.job_list import JobFilter, list_jobs

ONE = "job-01a2233b-8faa-735c-8c52-d6074203d845"
TWO = "job-01a2233b-9359-76e5-bde7-211098376a0d"


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        (ONE, ONE),
        (f"  {ONE.upper()}\n", ONE),
        ("job-01a223", "job-01a223"),
        ("job-01a2233b-9", "job-01a2233b-9"),
        *((text, None) for text in ("", None, "job-", "job-01a22", "job-------", "job-nightly")),
        *((text, None) for text in (ONE + "0", f"x{ONE}", "run-01a2233b", "01a2233b-8faa")),
    ],
)
def test_an_id_is_recognised(text: str | None, beginning: str | None) -> None:
    assert id_beginning(text) == beginning


def found(connection: apsw.Connection, text: str, **more: Any) -> list[str]:
    page, _ = list_jobs(connection, JobFilter(text=text, **more), limit=10, cursor=None)
    return [job.job_id for job in page]


def test_ids_are_found_by_their_beginning(
    connection: apsw.Connection, write: Any, put: Any
) -> None:
    with write() as tx:
        for job_id, name in ((ONE, None), (TWO, "x"), ("job-9", f"after {ONE}"), ("job-8", "x")):
            put(tx, job_id, name=name)
    assert found(connection, ONE) == [ONE]
    assert found(connection, "JOB-01A2233B") == [TWO, ONE]
    assert found(connection, "job-01a2233b", order="asc") == [ONE, TWO]
    assert found(connection, "job-01a2233b-9") == [TWO]
    assert found(connection, "job-01a2233b", types=("other",)) == []
    assert found(connection, ONE.replace("8faa", "8fab")) == []
    page, cursor = list_jobs(connection, JobFilter(text="job-01a2233b"), limit=1, cursor=None)
    rest, end = list_jobs(connection, JobFilter(text="job-01a2233b"), limit=1, cursor=cursor)
    assert ([page[0].job_id, rest[0].job_id], end) == ([TWO, ONE], None)


def test_what_only_looks_like_an_id_is_searched_for_in_names(
    connection: apsw.Connection, write: Any, put: Any
) -> None:
    with write() as tx:
        put(tx, ONE, name="job-20240131 nightly")
    assert found(connection, "job-20240131") == [ONE]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("statuses", [(), ("QUEUED",)])
@pytest.mark.parametrize("labels", [(), ("k=v",)])
def test_no_other_job_is_looked_at(
    connection: apsw.Connection,
    write: Any,
    put: Any,
    plan: Any,
    order: Any,
    statuses: Any,
    labels: Any,
) -> None:
    more = {"order": order, "statuses": statuses, "labels": labels}
    with write() as tx:
        put(tx, ONE)
    asked: list[tuple[str, Any]] = []

    def hear(_: apsw.Cursor, sql: str, bindings: Any) -> bool:
        asked.append((sql, bindings))
        return True

    for text in (ONE, "job-01a2233b"):
        connection.exec_trace = hear
        found(connection, text, **more)
        connection.exec_trace = None
    assert len(asked) == 3  # whether there is such a beginning is looked up as well
    for sql, bindings in asked:
        assert "SCAN jobs" not in plan(connection, sql, bindings)
        assert "sqlite_autoindex_jobs_1 (job_id>? AND job_id<?)" in plan(connection, sql, bindings)
