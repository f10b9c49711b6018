"""Bugs that would break one guarantee each: a change of a few words, and the tests that see it.

`before` stands exactly once in `file`. `tests` are arguments for pytest, the few that must fail: a
bug that they miss would be missed by the whole suite only by luck, so it counts as escaped.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One change that must not survive. `breaks` is the guarantee, in the words of the design."""

    name: str
    breaks: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


BUGS = (
    # ---- what is acknowledged is there ---------------------------------------------------------
    Bug(
        name="acknowledge-before-commit",
        breaks="AckDurable",
        file="actors/core.py",
        before="answers.append(outcome.Value(self._apply(tx, message, effects)))\n",
        after="answers.append(outcome.Value(self._apply(tx, message, effects)))\n"
        "                        tx.execute('COMMIT')\n"
        "                        tx.execute('BEGIN IMMEDIATE')\n"
        "                        tx.execute('SAVEPOINT message')\n",
        tests=("tests/simulation/test_world.py",),
    ),
    Bug(
        name="no-fsync",
        breaks="AckDurable",
        file="storage/database.py",
        before='"synchronous = FULL"',
        after='"synchronous = OFF"',
        tests=("tests/storage/test_database.py", "tests/simulation"),
    ),
    Bug(
        name="failed-fsync-forgiven",
        breaks="AckDurable",
        file="actors/scheduler.py",
        before="except (apsw.IOError, apsw.CorruptError, apsw.NotADBError) as error:",
        after="except (apsw.CorruptError, apsw.NotADBError) as error:",
        tests=("tests/actors/test_scheduler.py", "tests/simulation"),
    ),
    Bug(
        name="shown-and-on-no-disk",
        breaks="AckDurable: what a life has shown is on disk, also after a failed fsync",
        file="storage/database.py",
        before="        _rewrite_log(connection.filename_wal, vfs)\n",
        after="",
        tests=("tests/storage/test_database.py",),
    ),
    Bug(
        name="refusal-leaves-a-trace",
        breaks="NoPhantom",
        file="storage/transaction.py",
        before='                self.execute("ROLLBACK TO message")\n',
        after="",
        tests=("tests/storage/test_transaction.py", "tests/actors/test_core.py"),
    ),
    Bug(
        name="idempotency-key-not-kept",
        breaks="IdemReplay",
        file="actors/core.py",
        before="        idempotency.keep(tx, message.key, body, location)\n",
        after="",
        tests=("tests/actors/test_core.py", "tests/contract/test_jobs.py"),
    ),
    Bug(
        name="idempotency-mismatch-replayed",
        breaks="IdemReplay",
        file="storage/idempotency.py",
        before="    if row[0] != key.request:",
        after="    if row[0] == b'':",
        tests=("tests/storage/test_idempotency.py",),
    ),
    Bug(
        name="second-server-on-one-directory",
        breaks="SingleWriter",
        file="storage/database.py",
        before="fcntl.LOCK_EX | fcntl.LOCK_NB",
        after="fcntl.LOCK_SH | fcntl.LOCK_NB",
        tests=("tests/storage/test_database.py",),
    ),
    Bug(
        name="newer-schema-accepted",
        breaks="a database from a newer headway is refused untouched",
        file="storage/database.py",
        before="(version := user_version(connection)) > newest",
        after="(version := user_version(connection)) < 0",
        tests=("tests/storage/test_database.py",),
    ),
    # ---- the facts -----------------------------------------------------------------------------
    Bug(
        name="forgotten-fact",
        breaks="LegalPath",
        file="storage/jobs.py",
        before='    tx.fact("job.cancelled", job_id=job_id, type=type_)\n',
        after="",
        tests=("tests/storage/test_jobs.py", "tests/actors/test_core.py", "tests/simulation"),
    ),
    Bug(
        name="gap-in-the-facts",
        breaks="FactsAtomic",
        file="storage/transaction.py",
        before="            self._next_seq = seq\n",
        after="",
        tests=("tests/storage/test_transaction.py", "tests/actors/test_core.py"),
    ),
    Bug(
        name="count-not-kept",
        breaks="StatsRecount",
        file="storage/migrations/0001_jobs.sql",
        before="WHEN old.status <> new.status BEGIN\n    INSERT INTO run_counts",
        after="WHEN new.status <> 'SKIPPED' BEGIN\n    INSERT INTO run_counts",
        tests=("tests/storage/test_scheduler.py", "tests/simulation"),
    ),
    Bug(
        name="finished-twice",
        breaks="TerminalFinal",
        file="storage/runs.py",
        before="WHERE run_id = ? AND status = 'RUNNING'\"\n"
        '        " RETURNING job_id, type, lane, started_at, eligible_at, finished_at"',
        after='WHERE run_id = ?"\n'
        '        " RETURNING job_id, type, lane, started_at, eligible_at, finished_at"',
        tests=("tests/storage/test_runs.py", "tests/actors/test_core.py"),
    ),
    # ---- order, limits, turns ------------------------------------------------------------------
    Bug(
        name="arrival-before-priority",
        breaks="DispatchOrder",
        file="storage/jobs.py",
        before="if head is not None and (best is None or head < best):",
        after="if head is not None and (best is None or head[1] < best[1]):",
        tests=("tests/storage/test_jobs.py", "tests/actors/test_dispatch.py"),
    ),
    Bug(
        name="run-at-ignored",
        breaks="DispatchOrder",
        file="storage/jobs.py",
        before="        run_at is not None and run_at > now,\n",
        after="        False,\n",
        tests=("tests/storage/test_jobs.py", "tests/actors/test_core.py"),
    ),
    Bug(
        name="one-too-many-of-a-type",
        breaks="Limit",
        file="actors/dispatch.py",
        before="busy.get(type_name, 0) < limit",
        after="busy.get(type_name, 0) <= limit",
        tests=("tests/actors/test_dispatch.py",),
    ),
    Bug(
        name="held-slot-given-away",
        breaks="Limit",
        file="actors/dispatch.py",
        before=" - reservations.count_held(connection),\n",
        after=",\n",
        tests=("tests/actors/test_dispatch.py",),
    ),
    Bug(
        name="queue-before-reservation",
        breaks="ReservationOrder",
        file="actors/dispatch.py",
        before="            if claim is not None:\n",
        after="            if claim is not None and not queue_moves:\n",
        tests=("tests/actors/test_dispatch.py",),
    ),
    Bug(
        name="stopped-scheduler-starts",
        breaks="a stopped scheduler starts nothing",
        file="storage/scheduler.py",
        before='return bool(connection.execute("SELECT running FROM scheduler").get)',
        after="return True",
        tests=("tests/storage/test_scheduler.py", "tests/actors/test_dispatch.py"),
    ),
    Bug(
        name="expired-job-runs",
        breaks="a Job never starts after its expires_at",
        file="actors/dispatch.py",
        before="        jobs.skip_expired(tx)\n",
        after="",
        tests=("tests/actors/test_dispatch.py", "tests/actors/test_core.py"),
    ),
    Bug(
        name="alarm-not-set",
        breaks="NoLostWakeup",
        file="actors/scheduler.py",
        before="        self._alarm.set(decision.next_due)\n",
        after="",
        tests=("tests/actors/test_scheduler.py",),
    ),
    Bug(
        name="clock-jump-slept-through",
        breaks="NoLostWakeup",
        file="actors/clock.py",
        before="flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET",
        after="flags = TFD_TIMER_ABSTIME",
        tests=("tests/actors/test_clock.py",),
    ),
    Bug(
        name="draining-server-starts-jobs",
        breaks="a draining server starts nothing",
        file="actors/core.py",
        before="                self._dispatch.draining = True\n",
        after="",
        tests=("tests/actors/test_core.py",),
    ),
    # ---- processes -----------------------------------------------------------------------------
    Bug(
        name="pid-reuse",
        breaks="SafeSignal",
        file="actors/process.py",
        before="if seen is not None and seen.lives and tree.run_id_of(pid) == run_id:",
        after="if seen is not None and seen.lives:",
        tests=("tests/actors/test_process.py",),
    ),
    Bug(
        name="signal-to-a-stranger",
        breaks="SafeSignal",
        file="actors/tree.py",
        before="if now is not None and now.start_ticks == seen.start_ticks:",
        after="if now is not None:",
        tests=("tests/actors/test_tree.py",),
    ),
    Bug(
        name="started-again",
        breaks="OneRun: no program runs twice",
        file="actors/executor.py",
        before="        if record.started:\n",
        after="        if record.ended:\n",
        tests=("tests/actors/test_executor.py", "tests/simulation"),
    ),
    Bug(
        name="success-by-assumption",
        breaks="UnknownNotSuccess",
        file="actors/verdict.py",
        before='    return failed("interrupted", "no exit status was recorded: '
        'the host or the shim went down")',
        after="    return Outcome(status=RunStatus.COMPLETED, exit_code=0)",
        tests=("tests/actors/test_executor.py",),
    ),
    Bug(
        name="torn-line-believed",
        breaks="UnknownNotSuccess",
        file="actors/shim.py",
        before='        if not line.endswith("\\n"):\n            break\n',
        after='        line = line.rstrip("\\n") + "\\n"\n',
        tests=("tests/actors/test_process.py",),
    ),
    Bug(
        name="orphans-left",
        breaks="NoOrphan",
        file="actors/process.py",
        before="self._orphans() if self._ended else [self._pid, *self._orphans()]",
        after="[] if self._ended else [self._pid]",
        tests=("tests/actors/test_process.py",),
    ),
    Bug(
        name="bare-program-started-again",
        breaks="OneRun: a program without a shim is never started twice",
        file="actors/executor.py",
        before="        if not run.intent.adopt:\n            # It",
        after="        if False:\n            # It",
        tests=("tests/actors/test_executor.py", "tests/simulation"),
    ),
    Bug(
        name="spare-not-empty",
        breaks="a program starts in a fresh directory",
        file="actors/spare.py",
        before="return next(entries, None) is None",
        after="return True",
        tests=("tests/actors/test_spare.py",),
    ),
    Bug(
        name="no-kill-after-the-grace",
        breaks="CancelBound",
        file="actors/executor.py",
        before="        run.killed = True\n        await process.kill()\n",
        after="",
        tests=("tests/actors/test_executor.py",),
    ),
    Bug(
        name="cancelled-run-completes",
        breaks="a cancelled run ends CANCELLED",
        file="actors/core.py",
        before="    if stop_reason is None:\n        return seen\n",
        after="    if stop_reason is None or seen.exit_code == 0:\n        return seen\n",
        tests=("tests/actors/test_core.py",),
    ),
    Bug(
        name="environment-leaks",
        breaks="a program gets a clean environment",
        file="actors/executor.py",
        before="            **job_type.environment(self._server_environment),\n",
        after="            **self._server_environment,\n",
        tests=("tests/actors/test_executor.py", "tests/contract/test_program.py"),
    ),
    Bug(
        name="value-becomes-an-option",
        breaks="a parameter cannot become an option",
        file="actors/job_type.py",
        before='return [*slots, "--", *after] if after else slots',
        after="return [*slots, *after]",
        tests=("tests/actors/test_job_type.py", "tests/actors/test_command_line.py"),
    ),
    Bug(
        name="secret-shown",
        breaks="secret parameters are in no answer",
        file="actors/job_type.py",
        before="{name: _REDACTED if name in self._secrets else params[name] for name in params}",
        after="dict(params)",
        tests=("tests/actors/test_job_type.py", "tests/contract/test_secret.py"),
    ),
    # ---- over HTTP -----------------------------------------------------------------------------
    Bug(
        name="host-not-checked-on-delete",
        breaks="Host is checked on every method",
        file="web/app.py",
        before='if (refusal := self._check(scope["raw_path"], scope["headers"])) is not None:',
        after='if scope["method"] != "DELETE" and (\n'
        '                refusal := self._check(scope["raw_path"], scope["headers"])\n'
        "            ):",
        tests=("tests/web/test_app.py", "tests/contract/test_bad_input.py"),
    ),
    Bug(
        name="other-origins-welcome",
        breaks="pages of other origins may not call",
        file="web/app.py",
        before="if origins and origins != [",
        after="if len(origins) > 1 and origins != [",
        tests=("tests/web/test_app.py", "tests/contract/test_bad_input.py"),
    ),
    Bug(
        name="duplicate-keys-pass",
        breaks="JSON is read strictly",
        file="web/strict_json.py",
        before="    if len(made) != len(pairs):",
        after="    if not pairs and made:",
        tests=("tests/web/test_strict_json.py",),
    ),
    Bug(
        name="if-match-ignored",
        breaks="If-Match is honoured",
        file="actors/core.py",
        before="        if if_match is not None and if_match.isdisjoint(",
        after="        if if_match == frozenset() and if_match.isdisjoint(",
        tests=("tests/actors/test_core.py", "tests/contract/test_jobs.py"),
    ),
    Bug(
        name="cursor-repeats",
        breaks="StablePaging",
        file="storage/jobs.py",
        before='"position < ?" if wanted.order == "desc"',
        after='"position <= ?" if wanted.order == "desc"',
        tests=("tests/storage/test_jobs.py",),
    ),
    Bug(
        name="abandoned-claim-kept",
        breaks="ReservationOrder: a client that goes away gives its claim back",
        file="web/direct.py",
        before="await services.scheduler.tell(m.AbandonDirect(ticket=ticket))",
        after="pass",
        tests=("tests/contract/test_direct.py",),
    ),
    Bug(
        name="claim-lost-before-it-is-named",
        breaks="ReservationOrder: a client that goes away gives its claim back",
        file="web/direct.py",
        before="with trio.CancelScope(shield=True):\n            ticket",
        after="with trio.CancelScope():\n            ticket",
        tests=("tests/web/test_direct.py",),
    ),
    Bug(
        name="clock-set-between-waits",
        breaks="NoLostWakeup: a clock that is set crashes nothing",
        file="actors/clock.py",
        before="if ctypes.get_errno() == errno.ECANCELED:",
        after="if ctypes.get_errno() == errno.EINTR:",
        tests=("tests/actors/test_clock.py",),
    ),
    Bug(
        name="events-repeat",
        breaks="a resumed stream neither loses nor repeats",
        file="actors/feed.py",
        before="            if fact.seq <= self.last_seq:\n                continue\n",
        after="",
        tests=("tests/actors/test_feed.py",),
    ),
    Bug(
        name="seam-between-table-and-ring",
        breaks="a stream tells each fact once, also where it goes over from the table to the ring",
        file="web/events.py",
        before="self._seq = until if is_all else min(until, found[-1].seq)",
        after="self._seq = until",
        tests=("tests/web/test_events.py",),
    ),
    Bug(
        name="one-too-many-starts-now",
        breaks="a Job with no reason against it is one that the next dispatch starts",
        file="actors/explain.py",
        before="sum(taken.values()) < self._free",
        after="sum(taken.values()) <= self._free",
        tests=("tests/actors/test_explain.py",),
    ),
    Bug(
        name="direct-run-shortens-the-queue",
        breaks="HistoryRecount",
        file="storage/rollup.py",
        before="queued -= fact.job_id is not None",
        after="queued -= 1",
        tests=("tests/storage/test_rollup.py",),
    ),
    Bug(
        name="time-of-the-line-before",
        breaks="a byte was written by its time, and after the entry before",
        file="actors/log_times.py",
        before="bisect_right(records, offset,",
        after="bisect_right(records, offset - 1,",
        tests=("tests/actors/test_log_times.py",),
    ),
)
