"""The model of one world: what must be true of it, checked at each commit, answer and process.

Named as in the design. A breach is raised as `Breach`, which no actor catches.
"""

from collections.abc import Container, Iterable
from itertools import chain

import apsw
from pydantic_core import from_json

from headway.model.job import JobStatus
from storage.events import Event, events_after
from storage.verify.audit import open_jobs, open_runs
from storage.verify.invariants import check_tables, verify
from storage.verify.replay import Replay
from tests.imagined import ImaginedProcess


class Breach(BaseException):
    """An invariant is broken."""


class Model:
    """The events so far, and what clients and the host know beside them."""

    def __init__(self) -> None:
        self.statuses: dict[str, JobStatus] = {}  # of the Jobs that have ended
        self.replay = Replay(self.statuses)
        self._last: Event | None = None
        self.checks = 0
        self.commits = 0
        self.names: dict[str, str | None] = {}  # a Job's name -> its id, None: unknown
        self.refused: set[str] = set()
        self.forgotten: set[str] = set()  # names that may have been queued again, and rightly
        self.cancelled: set[str] = set()
        self.ended: dict[str, tuple[str, str | None]] = {}  # run -> (status, error)
        self.launched: set[str] = set()
        self.draining = False  # the living server has received SIGTERM
        self.drained = False  # the living server has promised that nothing starts any more
        self.shut_down: set[str] = set()  # runs that were ended because their server ended
        self.outlived: set[str] = set()  # runs that had not ended when their server died
        self.refused_runs: set[str] = set()  # runs whose command could not be started
        self.risked: set[str] = set()  # runs that a power cut came upon
        self._power_was_lost = False
        self.left: set[str] = set()  # runs that an orderly end has left before they began

    @property
    def jobs(self) -> int:
        """The number of Jobs."""
        return len(self.replay.jobs) + len(self.statuses)

    # ---- commits -----------------------------------------------------------------------------

    def committed(
        self, events: Iterable[Event], living: Iterable[ImaginedProcess], *, may_wait: bool
    ) -> None:
        """A transaction is on disk. Cheap, so that it can be done each time.

        `may_wait`: the host gives a reason for something not to start.
        """
        self.commits += 1
        for event in events:
            self._follow(event)
        for process in living:
            run_id = process.launch.run_id
            if run_id not in self.replay.running:
                raise Breach(f"NoOrphan: {run_id} has ended, and something of it lives")
        if not self.draining and not may_wait and (what := self.replay.overlooked()):
            raise Breach(f"NoLostWakeup: {what}")

    def _follow(self, event: Event) -> None:
        self.checks += 1
        self._last = event
        for name, what in self.replay.apply(event):
            raise Breach(f"{name}: {what}")
        if event.kind == "server.started":
            self.left = set()
        if event.kind == "run.started" and self.drained:
            raise Breach(f"Drained: {event.run_id} was started by a server that shuts down")
        if event.kind == "run.stopping" and from_json(event.data)["reason"] == "shutdown":
            self.shut_down.add(str(event.run_id))
        if event.kind == "run.finished" and event.run_id is not None:
            data = from_json(event.data)
            self.ended[event.run_id] = (data["status"], data["error"])
            self._check_start(event.run_id, data["error"])

    def _check_start(self, run_id: str, error: str | None) -> None:
        """No run fails for what the host lacked: it waits, over lives and boots of the host."""
        if error == "spawn" and run_id not in self.refused_runs:
            raise Breach(f"HostWaits: {run_id} failed to start, and the host had let it wait")
        if error == "interrupted" and run_id not in self.launched and run_id not in self.risked:
            raise Breach(f"HostWaits: {run_id} is interrupted, and has never begun")

    def power_lost(self) -> None:
        """Note that it stays unknown which of the claimed runs had begun."""
        self._power_was_lost = True

    def begin_life(self, reader: apsw.Connection) -> None:
        """Check the disk after a crash: all that was committed is there, without contradiction.

        The events were followed when they were committed: no life begins by reading all of them.
        """
        self._catch_up(reader)
        if self._power_was_lost:
            self._power_was_lost = False
            self.risked |= self.replay.running.keys() - self.left
        self.draining = self.drained = False
        self.checks += 1
        for name, breaches in check_tables(reader).items():
            for what in breaches:
                raise Breach(f"{name}: {what}")
        self._compare(reader)

    def _catch_up(self, reader: apsw.Connection) -> None:
        """Check that all committed events are there, and perhaps those of one transaction more."""
        self.outlived |= self.launched - self.ended.keys()
        known = self.replay.last_seq
        (last,) = reader.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone() or (0,)
        if last < known:
            raise Breach(f"AckDurable: {known} events were committed, {last} are on the disk")
        if self._last is not None and events_after(reader, known - 1, limit=1) != [self._last]:
            raise Breach(f"AckDurable: event {known} is not what was committed")
        for event in events_after(reader, known, limit=1_000_000):
            self._follow(event)

    def ended_in_order(self, may_leave: Container[str]) -> None:
        """A server has shut down; `may_leave`: the types of which it may leave runs.

        And of any those that have not begun: the next server starts them.
        """
        left = {run for run, (name, _) in self.replay.running.items() if name not in may_leave}
        left &= self.launched
        if left:
            raise Breach(f"Drained: {sorted(left)} were left running by an orderly end")
        self.left = self.replay.running.keys() - self.launched

    def end_world(self, reader: apsw.Connection) -> None:
        """Everything once more, from the first event on: a walk, and all that a life looks at."""
        self._catch_up(reader)
        self._compare(reader)
        for finding in verify(reader):
            for what in finding.breaches:
                raise Breach(f"{finding.name}: {what}")

    def _compare(self, reader: apsw.Connection) -> None:
        """Compare the tables with the events, and with the answers to clients."""
        for name, what in chain(open_jobs(reader, self.replay), open_runs(reader, self.replay)):
            raise Breach(f"{name}: {what}")
        self._compare_answers(reader)

    def _compare_answers(self, reader: apsw.Connection) -> None:
        there: dict[str, list[str]] = {}
        for name, job_id in reader.execute("SELECT name, job_id FROM jobs WHERE retry_of IS NULL"):
            there.setdefault(str(name), []).append(str(job_id))
        for name, known in self.names.items():
            found = there.get(name, [])
            if name in self.forgotten and (known is None or known in found):
                continue
            if known is not None and found != [known]:
                raise Breach(f"AckDurable: {name} was answered with {known}, there is {found}")
            if len(found) > 1:
                raise Breach(f"IdemReplay: {name} was queued {len(found)} times")
        for name in self.refused & there.keys():
            raise Breach(f"NoPhantom: {name} was refused, and is there")
        for job_id in self.cancelled:
            if (status := self.replay.status(job_id)) is not JobStatus.CANCELLED:
                raise Breach(f"CancelBeforeStart: {job_id} is {status}")

    # ---- answers -----------------------------------------------------------------------------

    def asked(self, name: str) -> None:
        """Note that a client sends this Job."""
        self.names.setdefault(name, None)

    def acknowledged(self, name: str, job_id: str) -> None:
        """Note a 201: the Job must exist from now on."""
        if self.names.get(name) not in (None, job_id) and name not in self.forgotten:
            raise Breach(f"IdemReplay: {name} is {self.names[name]} and {job_id}")
        self.names[name] = job_id

    def no(self, name: str) -> None:
        """Note a refusal: the Job must not exist."""
        if self.names.get(name) is None:
            del self.names[name]
            self.refused.add(name)

    # ---- processes ---------------------------------------------------------------------------

    def launching(self, run_id: str) -> None:
        """Check a program that is about to be started."""
        if self.drained:
            raise Breach(f"Drained: {run_id} starts when its server has promised to start nothing")
        if run_id not in self.replay.running:
            raise Breach(f"IntentFirst: {run_id} starts without an intent on disk")
        if run_id in self.launched:
            raise Breach(f"OneRun: {run_id} is started a second time")

    def truth(
        self, processes: Iterable[ImaginedProcess], lost: set[str], swept: frozenset[str]
    ) -> None:
        """At the end: each run's status is what its program did, where that could be known."""
        for process in processes:
            run_id = process.launch.run_id
            status, error = self.ended[run_id]
            if error == "output_limit" or run_id in lost:
                continue
            # A recorded end takes precedence over the reason to end it.
            if process.code is None or process.was_signalled:
                if status == "CANCELLED" or error == "timeout":
                    continue
                if error == "interrupted" and run_id in self.shut_down:
                    continue
            knew_alone = not process.launch.shim and run_id in swept | self.outlived
            if knew_alone and (error == "interrupted" or status == "CANCELLED"):
                continue
            expected = {0: "COMPLETED", 77: "SKIPPED"}.get(process.code, "FAILED")  # type: ignore[arg-type]
            if status != expected:
                raise Breach(
                    f"UnknownNotSuccess: {run_id} ended with {process.code}, it is {status}"
                )
