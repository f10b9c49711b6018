"""The rows that headway writes for a run: its claim and its end, without any lookup.

The statements are headway's own, word for word, as a trace of `Core.decide` shows them;
`tests/bench/test_floor.py` compares the two. The schema's triggers keep the counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.model.job import NewJob
from storage.database import DATABASE_NAME, open_writer, transaction
from storage.jobs import insert_jobs
from storage.rollup import bucket
from storage.transaction import write_transaction

SERVER, BOOT = "srv-01890a5d-ac96-774b-bcce-b302099a8057", "c4a3bca6-ba5d-4b2d-a39d-ff9a850495f0"

MOVE = """UPDATE jobs SET status = ?, hold = 'none', version = version + 1,
 reason = coalesce(?, reason), started_at = iif(?, ?, started_at), finished_at = ?, duration_us = ?
 WHERE job_id = ? AND status = ? RETURNING type"""
END = """UPDATE job_runs SET status = ?, pid = coalesce(?, pid), finished_at = max(?, started_at),
 duration_us = coalesce(?, max(? - started_at, 0)), exit_code = ?, signal = ?, error_code = ?,
 error_message = ?, result = ?, artifacts = ?, log_bytes = ?, log_truncated = ?,
 left_processes = ?, left_killed = ? WHERE run_id = ? AND status = 'RUNNING'
 RETURNING job_id, type, lane, started_at, eligible_at, finished_at, duration_us"""
INTEND = """INSERT INTO job_runs (run_id, job_id, type, lane, status, params_snapshot, argv,
 timeout_s, boot_id, server_id, eligible_at, started_at, adopt, seals)
 VALUES (?, ?, ?, ?, 'RUNNING', ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
EVENT = (
    "INSERT INTO events (seq, at, kind, job_id, run_id, data, actor) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
SUMS = """INSERT INTO history VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
 queued = queued + excluded.queued, completed = completed + excluded.completed,
 failed = failed + excluded.failed, skipped = skipped + excluded.skipped,
 cancelled = cancelled + excluded.cancelled"""
TIMES = """INSERT INTO history_times VALUES (?, ?, ?, ?, ?)
 ON CONFLICT DO UPDATE SET n = n + excluded.n"""
STARTED = '{"type":"bare","lane":"queue","waited_s":%s}'
FINISHED = (
    '{"type":"bare","lane":"queue","status":"COMPLETED","error":null,"has_result":false,'
    '"result":null,"waited_s":%s,"duration_s":%s,"finished_at":%s}'
)


@dataclass(slots=True)
class Run:
    """One run from its claim to its end."""

    run_id: str
    job_id: str
    pid: int = 0
    log_bytes: int = 0


class Rows:
    """A queue of `job_ids` in a database of its own; times are in µs since 1970."""

    def __init__(self, directory: Path, job_ids: Sequence[str], now: int, slots: int) -> None:
        self.database = open_writer(directory / DATABASE_NAME)
        self._created_at = now
        new = NewJob(type="bare", params={"n": 0})
        with write_transaction(self.database, now) as tx:
            tx.emit("server.started", server_id=SERVER, concurrency=slots, types={"bare": None})
            insert_jobs(tx, [(job_id, new) for job_id in job_ids], origin="api")
        self._seq = tx.events[-1].seq

    @property
    def succeeded(self) -> int:
        """How many runs are recorded as such."""
        found = self.database.execute("SELECT n FROM run_counts WHERE status = 'COMPLETED'").get
        return int(found or 0)

    def write(self, ended: Sequence[Run], claimed: Sequence[Run], now: int) -> None:
        """All of it in one transaction, on disk afterwards."""
        times: list[tuple[Any, ...]] = []
        with transaction(self.database):
            events = [self._end(run, now, times) for run in ended]
            events += [self._claim(run, now) for run in claimed]
            self.database.executemany(EVENT, events)
            minute = (now // 60_000_000, -len(claimed), len(ended), 0, 0, 0)
            self.database.execute(SUMS, minute)
            if times:
                self.database.executemany(TIMES, times)

    def _end(self, run: Run, now: int, times: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        seen = (run.pid, now, None, now, 0, None, None, None, None, "[]", run.log_bytes, False)
        row = self.database.execute(END, ("COMPLETED", *seen, 0, 0, run.run_id)).fetchone()
        assert row is not None
        waited, ended_at, lasted = row[3] - row[4], row[5], row[6]
        self._move(run, now, "RUNNING", "COMPLETED", ended_at, lasted)
        for measure, us in (("wait", waited), ("run", lasted)):
            for step_s in (60, 3600):
                times.append((step_s, now // 1_000_000 // step_s, measure, bucket(us), 1))
        fields = FINISHED % (waited / 1e6, lasted / 1e6, ended_at)
        return self._event(now, "run.finished", run, fields)

    def _claim(self, run: Run, now: int) -> tuple[Any, ...]:
        self._move(run, now, "QUEUED", "RUNNING")
        what = (run.run_id, run.job_id, "bare", "queue", '{"n":0}', '["/bin/true","--n=0"]')
        whose = (3600.0, BOOT, SERVER, self._created_at, now, False, "")
        self.database.execute(INTEND, (*what, *whose))
        return self._event(now, "run.started", run, STARTED % ((now - self._created_at) / 1e6))

    def _move(
        self,
        run: Run,
        now: int,
        before: str,
        after: str,
        ended_at: int | None = None,
        lasted_us: int | None = None,
    ) -> None:
        starts = after == "RUNNING"
        values = (after, None, starts, now, ended_at, lasted_us, run.job_id, before)
        self.database.execute(MOVE, values).fetchone()

    def _event(self, now: int, kind: str, run: Run, data: str) -> tuple[Any, ...]:
        self._seq += 1
        return self._seq, now, kind, run.job_id, run.run_id, data, "system"
