"""The floor of `runs` writes what headway writes, breaks no invariant, and notices a failure."""

from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from actors import messages as m
from actors.identity import Identity
from actors.randomness import Randomness
from actors.rules.core import Core
from bench import floor_peer
from bench.floor_rows import BOOT, SERVER, Rows, Run
from config.job_type import JobType
from config.setup import Setup
from headway.model.job import NewJob
from headway.model.run import LogSummary, RunStatus
from storage.database import DATABASE_NAME, open_reader, open_writer
from storage.runs import Outcome
from storage.verify.invariants import verify

NOW, LATER = 1_800_000_000_000_000, 1_800_000_002_500_000
TYPE = {"params": {"n": {"type": "integer", "default": 0, "arg": "--n"}}}

Statements = list[tuple[str, tuple[Any, ...]]]


def written(connection: apsw.Connection) -> Statements:
    """What is given to SQLite from now on, without what only reads."""
    found: Statements = []

    def hear(_: apsw.Cursor, sql: str, bindings: Any) -> bool:
        if sql.startswith(("INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT")):
            found.append((" ".join(sql.split()), tuple(bindings or ())))
        return True

    connection.exec_trace = hear
    return found


def headways(path: Path) -> Statements:
    """The end of one run, and the claim of the next."""
    connection = open_writer(path)
    numbers = count(1)
    bare = JobType.model_validate({"name": "bare", "command": ["/bin/true"], "adopt": False} | TYPE)
    core = Core(
        setup=Setup(job_types={"bare": bare}),
        identity=Identity(boot_id=BOOT, server_id=SERVER),
        new_id=lambda prefix: f"{prefix}-{next(numbers)}",
        random=Randomness(bytes),
    )
    core.recover(connection, NOW)
    jobs = (NewJob(type="bare", params={"n": 0}),) * 2
    core.decide(connection, NOW, [m.SubmitJobs(jobs=jobs, batch=True)])
    outcome = Outcome(
        status=RunStatus.COMPLETED, pid=7, exit_code=0, log=LogSummary(bytes=5, truncated=False)
    )
    found = written(connection)
    core.decide(connection, LATER, [m.RunExited(run_id="run-3", outcome=outcome)])
    return found


def test_its_rows_are_headways_statement_for_statement(tmp_path: Path) -> None:
    rows = Rows(tmp_path, ["job-1", "job-2"], NOW, slots=1)
    first = Run("run-3", "job-1", pid=7, log_bytes=5)
    rows.write([], [first], NOW)
    found = written(rows.database)
    rows.write([first], [Run("run-4", "job-2")], LATER)
    assert found == headways(tmp_path / "real.db")


def test_every_invariant_holds_of_what_it_leaves(tmp_path: Path) -> None:
    # In a process of its own: it counts its children.
    assert floor_peer.floor_drain(tmp_path / "floor", 5) > 0
    database = open_reader(tmp_path / "floor" / DATABASE_NAME)
    assert [finding for finding in verify(database) if finding.breaches] == []
    database.close()
    runs = [
        path for path in (tmp_path / "floor" / "runs").iterdir() if not path.name.startswith(".")
    ]
    assert len(runs) == 5
    assert {file.name for run in runs for file in run.iterdir()} == {"log"}


def test_a_program_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor_peer, "PROGRAM", "/bin/false")
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="/bin/false ended with 256")):
        floor_peer.Floor(tmp_path / "floor", 1).drain()
