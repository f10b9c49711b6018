"""Parts of a run that are read alone, since the whole of it may be large.

Params, command line and result have up to 1 MiB each, and there may be 10,000 artifacts.
"""

from typing import Literal, NamedTuple

import apsw
from pydantic_core import from_json

from headway.model.artifact import Artifact
from headway.model.run import JobRun
from storage.runs import COLUMNS, run_from_row

_APART = COLUMNS.replace(" result,", " NULL,") + ", result"


def run_and_result(
    connection: apsw.Connection, column: Literal["run_id", "job_id"], name: str
) -> tuple[JobRun, str] | None:
    """A run without its result, and that as JSON text, for an answer that needs no more of it.

    A result of 1 MiB can be 300,000 values, which take 16 ms to read.
    """
    row = connection.execute(
        f"SELECT {_APART} FROM job_runs WHERE {column} = ?", (name,)
    ).fetchone()
    return None if row is None else (run_from_row(row[:-1]), row[-1] or "null")


class RunHead(NamedTuple):
    """The fields of a run that are never large. `finished_at` in µs since 1970."""

    run_id: str
    finished_at: int | None
    log_bytes: int


def head_of_run(connection: apsw.Connection, job_id: str) -> RunHead | None:
    """The single attempt at the Job, if it has been made."""
    row = connection.execute(
        "SELECT run_id, finished_at, log_bytes FROM job_runs WHERE job_id = ?", (job_id,)
    ).fetchone()
    return None if row is None else RunHead(*row)


def artifact_of_job(
    connection: apsw.Connection, job_id: str, name: str
) -> tuple[str, Artifact, str | None] | None:
    """(run id, the artifact with this name, why not all were kept), of up to 10,000."""
    row = connection.execute(
        "SELECT run_id, entry.value, collection_reason FROM job_runs, json_each(artifacts) AS entry"
        " WHERE job_id = ? AND entry.value ->> 'name' = ?",
        (job_id, name),
    ).fetchone()
    return None if row is None else (row[0], Artifact(**from_json(row[1])), row[2])
