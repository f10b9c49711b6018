"""What must be true of a data directory after a kill: journal, tally and database agree.

The order of the reads makes the check valid for a running server too. The tally is read first: each
of its programs has an intent in the database, which is read next. Then the tally again: each run
that has ended in the database has ended in the tally too. Last the processes: none carries the id
of an ended run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from actors.host import process_tree
from actors.run.run_files import RunFiles
from storage.database import DATABASE_NAME, open_reader, user_version
from storage.verify.invariants import verify
from tests.crash.client import Journal, Submission
from tests.crash.migration import half_done
from tests.crash.program import SKIP_CODE, Tally

SHOWN_MAX = 10
BY_WHOM = "no kill explains it"
TERMINAL = frozenset({"COMPLETED", "FAILED", "SKIPPED", "CANCELLED"})


class JobRow(NamedTuple):
    """A Job."""

    job_id: str
    name: str | None
    status: str
    priority: int
    version: int
    retry_of: str | None


class RunRow(NamedTuple):
    """A run."""

    run_id: str
    job_id: str | None
    type: str
    status: str
    params: str
    code: int | None
    seconds: float | None
    exit_code: int | None
    error: str | None
    stop_reason: str | None
    result: str | None


@dataclass(slots=True)
class Victims:
    """Runs of which a process was killed that is not a server; `unnamed`: the number of unknown
    ones.
    """

    shims: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    unnamed: int = 0


@dataclass(slots=True)
class Findings:
    """The findings of one look: sentences, by their name in the summary."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.twice or self.orphans or self.wrong)

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: {sentence}"
            for name in ("lost", "twice", "orphans", "wrong")
            for sentence in getattr(self, name)[:SHOWN_MAX]
        )


@dataclass(slots=True)
class Checker:
    """Checks one data directory again and again."""

    data_dir: Path
    tally: Tally
    journal: Journal
    victims: Victims
    migration: int | None = None
    """The number of the migration that only these tests have, if it is used."""

    def migrates(self, has_one_more: bool) -> bool:
        """Whether the next life must change the schema."""
        assert self.migration is not None
        path = self.data_dir / DATABASE_NAME
        try:
            connection = open_reader(path)
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            return True  # it does not exist, or its server was killed while making it
        try:
            return user_version(connection) < self.migration - (not has_one_more)
        finally:
            connection.close()

    def look(self, *, settled: bool = False) -> Findings:
        """All checks at once. `settled`: nothing is left to run, so every Job has ended."""
        self.tally.read()
        started = set(self.tally.starts)
        connection = open_reader(self.data_dir / DATABASE_NAME)
        try:
            # One snapshot for both tables.
            connection.execute("BEGIN")
            jobs = [JobRow(*row) for row in connection.execute(JOBS)]
            runs = [RunRow(*row) for row in connection.execute(RUNS)]
            moving = bool(connection.execute(MOVING).get)
            holds = {str(row[0]) for row in connection.execute(HOLDS)}
            connection.execute("ROLLBACK")
            self.tally.read()
            found = Findings()
            found.lost += self._lost(jobs, runs, moving, holds)
            found.lost += self._changes_lost(jobs)
            found.twice += self._twice(runs, jobs)
            found.orphans += self._orphans(runs)
            found.wrong += self._strangers(started, runs)
            found.wrong += self._wrong_ends(runs)
            found.wrong += broken(connection)
            if self.migration is not None:
                found.wrong += half_done(connection, self.migration)
            if settled:
                found.lost += [f"{job.job_id} is {job.status}" for job in jobs if is_open(job)]
            return found
        finally:
            connection.close()

    # ---- what was promised -------------------------------------------------------------------

    def _lost(
        self, jobs: list[JobRow], runs: list[RunRow], moving: bool, holds: set[str]
    ) -> Iterator[str]:
        by_token: dict[str, list[str]] = {}
        for job in jobs:
            if job.name is not None and job.retry_of is None:
                by_token.setdefault(job.name, []).append(job.job_id)
        for asked in self.journal.submissions:
            yield from self._submission(asked, by_token)
        known = {job.job_id: job for job in jobs}
        for job_id, original in self.journal.retries.items():
            if job_id not in known or known[job_id].retry_of != original:
                yield f"the retry {job_id} of {original}"
        yield from (f"the trigger {it}" for it in self.journal.triggered if it not in known)
        yield from (f"the reservation {it}" for it in self.journal.holds if it not in holds)
        statuses = {run.run_id: run.status for run in runs}
        for run_id, status in self.journal.direct.items():
            if statuses.get(run_id) != status:
                yield f"the direct {run_id} was {status}, now it is {statuses.get(run_id)}"
        if self.journal.moving not in (None, moving):
            yield f"the scheduler was set to {self.journal.moving}, and is {moving}"

    def _submission(self, asked: Submission, by_token: dict[str, list[str]]) -> Iterator[str]:
        made = [by_token.get(token, []) for token in asked.tokens]
        if asked.job_ids and made != [[job_id] for job_id in asked.job_ids]:
            yield f"{asked.tokens} were accepted as {asked.job_ids}, and are {made}"
        elif asked.refused and any(made):
            yield f"{asked.tokens} were refused, and are {made}"
        elif asked.is_open and {len(ids) for ids in made} not in ({0}, {1}):
            yield f"{asked.tokens} were asked for once, and are {made}"

    def _changes_lost(self, jobs: list[JobRow]) -> Iterator[str]:
        journal = self.journal
        for job in jobs:
            promised = journal.cancelled.get(job.job_id)
            # One that was RUNNING may have come to its own end before: see `_wrong_end`.
            if promised == "CANCELLED" and job.status != "CANCELLED":
                yield f"{job.job_id} was CANCELLED, and is {job.status}"
            if job.version < journal.versions.get(job.job_id, 0):
                yield f"{job.job_id} had version {journal.versions[job.job_id]}, now {job.version}"
            priority = journal.priorities.get(job.job_id, job.priority)
            if job.job_id not in journal.patching and priority != job.priority:
                yield f"{job.job_id} was given priority {priority}, and has {job.priority}"

    # ---- what ran ----------------------------------------------------------------------------

    def _twice(self, runs: list[RunRow], jobs: list[JobRow]) -> Iterator[str]:
        for run_id, n in self.tally.starts.items():
            if n > 1:
                yield f"{run_id} started {n} times"
        seen: set[str] = set()
        for job_id in self.tally.jobs.values():
            if job_id != "-" and job_id in seen:
                yield f"{job_id} ran under two run ids"
            seen.add(job_id)
        has_run = {run.job_id for run in runs}
        for job in jobs:
            if job.status == "CANCELLED" and job.job_id in seen - has_run:
                yield f"{job.job_id} was cancelled before it started, and ran"

    def _strangers(self, started: set[str], runs: list[RunRow]) -> Iterator[str]:
        jobs = {run.run_id: run.job_id or "-" for run in runs}
        for run_id in started:
            if jobs.get(run_id) != self.tally.jobs[run_id]:
                yield f"{run_id} of {self.tally.jobs[run_id]} ran without an intent"

    def _wrong_ends(self, runs: list[RunRow]) -> Iterator[str]:
        unnamed = self.victims.unnamed
        for run in runs:
            if run.status != "RUNNING" and (why := self._wrong_end(run)):
                if why == BY_WHOM and unnamed > 0:
                    unnamed -= 1
                    continue
                yield f"{run.run_id} ({run.type}) ended {run.status} {run.error}: {why}"

    def _wrong_end(self, run: RunRow) -> str | None:
        """Why the recorded end cannot be true, or None."""
        if run.stop_reason == "cancel":
            if run.job_id is not None and run.job_id not in self.journal.cancel_asked:
                return "it was cancelled unasked"
            if run.status == "CANCELLED":
                return None
        elif run.stop_reason == "timeout":
            if run.type != "late":
                return "it is not late"
            if run.error == "timeout":
                return None
        elif run.stop_reason is not None:
            return f"{run.stop_reason} was not asked for"
        if run.error == "interrupted":
            lost = run.type == "bare" or run.run_id in self.victims.shims
            return None if lost else BY_WHOM
        if run.error == "signal":
            hit = self.victims.programs | self.victims.shims
            return None if run.run_id in hit else BY_WHOM
        return self._wrong_by_itself(run)

    def _wrong_by_itself(self, run: RunRow) -> str | None:
        """`_wrong_end` for a run that ended by itself."""
        code = run.code or 0
        expected = {0: "COMPLETED", SKIP_CODE: "SKIPPED"}.get(code, "FAILED")
        if (run.status, run.exit_code) != (expected, code):
            return f"exit status {run.exit_code}, and not {expected} with {code}"
        if (self.tally.starts[run.run_id], self.tally.ends[run.run_id]) != (1, 1):
            return f"{self.tally.starts[run.run_id]} starts, {self.tally.ends[run.run_id]} ends"
        if run.result != f'"{run.run_id}"':
            return f"its result is {run.result}"
        files = RunFiles(self.data_dir / "runs" / run.run_id)
        output = files.log.read_text(errors="replace")
        if output == f"output of {run.run_id}\nKilled\n":
            return BY_WHOM  # a child of the program's
        return None if output == f"output of {run.run_id}\n" else f"its output is {output!r}"

    def _orphans(self, runs: list[RunRow]) -> Iterator[str]:
        ended = frozenset(run.run_id for run in runs if run.status != "RUNNING")
        for seen in process_tree.carriers(ended):
            yield f"process {seen.pid} of {process_tree.run_id_of(seen.pid)} outlives its run"


JOBS = "SELECT job_id, name, status, priority, version, retry_of FROM jobs"
RUNS = (
    "SELECT run_id, job_id, type, status, params_snapshot, params_snapshot ->> 'code',"
    " params_snapshot ->> 'seconds', exit_code, error_code, stop_reason, result FROM job_runs"
)
MOVING = "SELECT running FROM scheduler"
HOLDS = "SELECT reservation_id FROM reservations"


def is_open(job: JobRow) -> bool:
    """Whether the Job has not ended."""
    return job.status not in TERMINAL


def broken(connection: apsw.Connection) -> Iterator[str]:
    """The invariants that do not hold."""
    for finding in verify(connection):
        for breach in finding.breaches:
            yield f"{finding.name}: {breach}"


def counts(data_dir: Path) -> dict[str, Any]:
    """How many Jobs and runs there are by status."""
    connection = open_reader(data_dir / DATABASE_NAME)
    try:
        return {
            "jobs": dict(connection.execute("SELECT status, count(*) FROM jobs GROUP BY status")),
            "runs": dict(
                connection.execute("SELECT status, count(*) FROM job_runs GROUP BY status")
            ),
        }
    finally:
        connection.close()
