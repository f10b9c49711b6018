"""Every statement of the hot paths finds its rows by an index, whatever the length of the queue.

The statements are those that SQLite was really given, heard by a trace while one of each thing is
done; their plans do not depend on how many rows there are, since the database has no statistics.
"""

import re
from typing import Any

import apsw
import pytest

from actors import messages as m
from headway.model.job import JobPatch, JobStatus, NewJob
from headway.model.run import RunStatus
from storage.events import events_after, last_seq
from storage.idempotency import Key
from storage.intents import running_intents
from storage.job_list import JobFilter, count_by_status, list_jobs
from storage.runs import Outcome, last_runs, run_of_job
from storage.scheduler import read_status
from tests.actors.desk import Desk

GROWING = {"jobs", "job_labels", "job_runs", "events", "reservations", "idempotency"}
"""Tables that grow with the queue or with time."""

FILTERS = (
    JobFilter(),
    JobFilter(order="asc"),
    JobFilter(statuses=(JobStatus.QUEUED,)),
    JobFilter(statuses=(JobStatus.FAILED,), order="asc"),
    JobFilter(types=("a",)),
    JobFilter(types=("a",), order="asc"),
    JobFilter(labels=("k=v",)),
    JobFilter(text="job-01a2233b-8faa-735c-8c52-d6074203d845"),
    JobFilter(retry_of="job-1"),
    JobFilter(retry_of="job-1", statuses=(JobStatus.FAILED,), types=("a",), order="asc"),
)
INDEXES = (
    "jobs_eligible",
    "jobs_run_at",
    "jobs_expires_at",
    "jobs_status",
    "jobs_type",
    "jobs_retry_of",
    "job_labels_position",
    "job_runs_running",
    "job_runs_finished",
    "job_runs_collecting",
    "reservations_state",
    "events_job",
    "idempotency_created_at",
)


def do_one_of_each(desk: Desk) -> None:
    """Submit, dispatch, finish, cancel, patch, delete, retry, reserve, stop, begin a new life."""
    key = Key(key="k", request=b"r")
    desk.ask(m.SubmitJobs(jobs=(NewJob(type="a", labels={"k": "v"}),), key=key))
    desk.ask(m.SubmitJobs(jobs=(NewJob(type="a"), NewJob(type="b")), batch=True))
    changed, gone, cancelled = desk.submit("a", "b", "b")
    desk.ask(m.PatchJob(job_id=changed.job_id, patch=JobPatch(priority=3, labels={"k": "w"})))
    desk.ask(m.DeleteJob(job_id=gone.job_id))
    desk.ask(m.CancelJob(job_id=cancelled.job_id))
    ((ran, _),) = running_intents(desk.connection)
    desk.decide(m.RunProcess(run_id=ran.run_id, pid=7, began_us=5))
    desk.decide(m.RunLimitExceeded(run_id=ran.run_id, reason="timeout"))
    ended = Outcome(status=RunStatus.COMPLETED, exit_code=0)
    desk.decide(m.RunExited(run_id=ran.run_id, outcome=ended))
    assert ran.job_id is not None
    desk.ask(m.RetryJob(job_id=ran.job_id))
    held = desk.ask(m.Reserve(ttl_s=60))
    desk.ask(m.ReleaseReservation(reservation_id=held.reservation_id))
    desk.direct()
    desk.ask(m.StopRuns(immediately=True))
    desk.core.recover(desk.connection, desk.now)


def look_at_all(connection: apsw.Connection, job_id: str) -> None:
    """What the web layer and the stats read again and again."""
    for wanted in FILTERS:
        _, cursor = list_jobs(connection, wanted, limit=1, cursor=None)
        if cursor is not None:
            list_jobs(connection, wanted, limit=1, cursor=cursor)
    read_status(connection, types=(), concurrency=1, started_at=0)
    count_by_status(connection)
    run_of_job(connection, job_id)
    running_intents(connection)
    events_after(connection, last_seq(connection) - 1, limit=10)
    events_after(connection, 0, limit=10, job_id=job_id)
    last_runs(connection, "a", 10).fetchall()


Asked = dict[str, Any]
"""A statement, and values that it was given once."""


def statements(desk: Desk) -> Asked:
    """All statements that SQLite was given in the block."""
    heard: Asked = {}

    def hear(_cursor: Any, sql: str, bindings: Any) -> bool:
        heard[sql] = bindings
        return True

    desk.connection.exec_trace = hear
    do_one_of_each(desk)
    (job, *_), _ = list_jobs(desk.connection, JobFilter(), limit=1, cursor=None)
    look_at_all(desk.connection, job.job_id)
    desk.connection.exec_trace = None
    verbs = re.compile("SELECT|UPDATE|DELETE|INSERT|WITH")
    return {sql: bindings for sql, bindings in heard.items() if verbs.match(sql)}


def faults(connection: apsw.Connection, sql: str, bindings: Any) -> list[str]:
    """The steps of its plan whose cost grows with a table."""
    found: list[str] = []
    try:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings).fetchall()
    except apsw.SQLError as error:  # no such index: INDEXED BY says so
        return [str(error)]
    partial = {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE %'"
        )
    }
    for step in (str(detail) for *_, detail in plan):
        scanned = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
        # A partial index holds only what is of interest; a page of everything ends at its LIMIT.
        if (
            scanned
            and scanned[1] in GROWING
            and scanned[2] not in partial
            and "WHERE TRUE" not in sql
        ):
            found.append(step)
        if "(rowid>?)" in step and "job_id = ?" in sql:  # all later events, for those of one Job
            found.append(step)
        # What runs now, the kept counts and the last 1,000 runs of a type are few: they may sort.
        if "TEMP B-TREE" in step and not re.search(r"job_runs_running|job_counts|FROM \(", sql):
            found.append(step)
    return found


@pytest.fixture
def heard(make_desk: Any) -> tuple[Any, Asked]:
    desk = make_desk()
    return desk, statements(desk)


def test_no_statement_walks_what_grows(heard: Any) -> None:
    desk, asked = heard
    assert len(asked) > 50
    found = {sql: faults(desk.connection, sql, given) for sql, given in asked.items()}
    assert {sql: steps for sql, steps in found.items() if steps} == {}


def test_these_are_all_indexes(heard: Any) -> None:
    desk, _ = heard
    names = desk.connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    )
    assert {name for (name,) in names} == {*INDEXES}


@pytest.mark.parametrize("index", INDEXES)
def test_a_lost_index_is_noticed(heard: Any, index: str) -> None:
    desk, asked = heard
    desk.connection.execute(f"DROP INDEX {index}")
    assert any(faults(desk.connection, sql, given) for sql, given in asked.items())
