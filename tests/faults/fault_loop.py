"""One transaction, again and again, each time with its next I/O operation failing.

A play: the database as bytes, opened on a disk that fails at the n-th operation in one of the
`FAULTS`; then the process goes on (a full disk), ends (an error) or has ended (a crash), and the
next one opens what is there. Then:

- what was acknowledged is there, row for row, and what was refused is not;
- of what was neither all is there or nothing;
- every invariant of `storage/verify/invariants.py` holds, and SQLite finds its file sound;
- while the disk is full reads are answered, and the refused transaction succeeds when it is not;
- what a life has shown is still there after a power cut: it was on disk before it was shown.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import apsw

import storage.database
from storage.database import open_reader, open_writer
from storage.verify.invariants import verify
from tests.crash.migration import know_it
from tests.faults.transaction import PATH, Case, populate
from tests.simulation.disk import Disk

NUMBERS = count()


class Killed(BaseException):
    """The process is no more."""


class Broken(AssertionError):
    """Something promised does not hold; says where."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and whether it goes on so. `then`: what ends the life after an error."""

    name: str
    happen: Callable[[Disk, str, str], None]
    lasts: bool = False
    then: Callable[[Disk], None] = Disk.crash


@dataclass(slots=True)
class Strike:
    """A fault that waits for its operation, from now on. `struck`: it has come to it."""

    disk: Disk
    fault: Fault
    number: int
    begin: int = field(init=False)
    struck: bool = False
    harmed: bool = False
    """It went wrong there: a full disk does no harm to a read."""

    def __post_init__(self) -> None:
        self.begin = self.disk.operations
        self.disk.fault = self

    def __call__(self, kind: str, name: str) -> None:
        at = self.disk.operations - self.begin
        if at == self.number or (at > self.number and self.fault.lasts):
            self.struck = True
            try:
                self.fault.happen(self.disk, kind, name)
            except BaseException:
                self.harmed = True
                raise


def _error(disk: Disk, kind: str, name: str) -> None:
    if kind == "sync":
        disk.lose_unsynced(name)
    raise apsw.IOError("disk I/O error")


def _full(disk: Disk, kind: str, name: str) -> None:
    if kind == "write":
        raise apsw.FullError("database or disk is full")
    if kind == "open" and not disk.database(Path(name)).exists():
        raise apsw.CantOpenError("unable to open database file")


def _kill(disk: Disk, _kind: str, _name: str) -> None:
    disk.crash()
    raise Killed


def _cut(disk: Disk, _kind: str, _name: str) -> None:
    disk.power_loss()
    raise Killed


FAULTS = (
    Fault("error", _error),
    Fault("error from then on", _error, lasts=True),
    Fault("error, then a power cut", _error, then=Disk.power_loss),
    Fault("full", _full),
    Fault("full from then on", _full, lasts=True),
    Fault("kill", _kill),
    Fault("power cut", _cut),
)


@contextmanager
def knowing(sql: str | None) -> Iterator[None]:
    """A headway with one more migration."""
    known = storage.database.migrations
    if sql is not None:
        know_it(sql)
    try:
        yield
    finally:
        storage.database.migrations = known


Dump = dict[str, list[tuple[Any, ...]]]


def dump(connection: apsw.Connection) -> Dump:
    """Every row of every table."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    rows = {str(name): connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}
    return {name: sorted(found, key=repr) for name, found in rows.items()}


@dataclass(slots=True)
class Play:
    """One course of events on one disk."""

    case: Case
    disk: Disk
    before: Dump
    after: Dump
    between: list[Dump]
    """What each but the last of several migrations leaves: each is a transaction of its own."""
    harmed: bool = False
    outcome: str = "nothing"
    """The result of the transaction, as it was reported."""

    def life(self, fault: Fault, number: int, *, later: bool = False) -> bool:
        """Open, act, and end as the fault would have it. False: it did not come to it.

        In a `later` life the fault may come while the file is opened, and the transaction is asked
        for again if it has not happened.
        """
        strike = None
        connection = None
        killed = False
        try:
            if later or self.case.opens:
                strike = Strike(self.disk, fault, number)
            connection = self._open()
            if not (later or self.case.cold):
                dump(connection)  # its pages are in the cache then, and every operation a write
            strike = strike or Strike(self.disk, fault, number)
            if not later or dump(connection) == self.before:
                self._act(connection)
        except Killed:
            killed = True
        except (apsw.IOError, apsw.FullError, apsw.CantOpenError):
            # The process ends, and its end closes what is open; an error there is not reported.
            if connection is not None:
                with suppress(apsw.Error, Killed):
                    connection.close()
        self.disk.fault = None
        if not killed:
            fault.then(self.disk)
        assert strike is not None
        self.harmed |= strike.harmed
        return strike.struck

    def _open(self) -> apsw.Connection:
        with knowing(self.case.migration):
            return open_writer(PATH, vfs=self.disk.name)

    def _act(self, connection: apsw.Connection) -> None:
        """Do it. On a full disk it is refused, reads go on, and it is done when there is space."""
        self.outcome = "nothing"
        try:
            self.case.act(connection)
        except apsw.FullError:
            self.outcome = "refusal"
            if not isinstance(self.disk.fault, Strike) or self.disk.fault.fault.lasts:
                self._look_while_full()
                return
            self._look_while_full()
            self.case.act(connection)
        self.outcome = "success"

    def _look_while_full(self) -> None:
        reader = open_reader(PATH, vfs=self.disk.name)
        if dump(reader) != self.before:
            raise Broken("something of what was refused for want of space is there")
        reader.close()

    def last(self) -> None:
        """Nothing fails any more: look at what is there, lose power, look again, go on."""
        shown = self._shown()
        expected = {"success": (self.after,), "refusal": (self.before,)}.get(
            self.outcome, (self.before, *self.between, self.after)
        )
        if shown not in expected:
            raise Broken(
                f"reported {self.outcome}, and now there is {difference(shown, expected[-1])}"
            )
        connection = self._open()
        breaches = [f"{f.name}: {b}" for f in verify(connection) for b in f.breaches]
        if breaches:
            raise Broken("\n".join(breaches))
        if shown == self.before and not self.case.migrates:
            if dump(connection) != shown:
                raise Broken("what a life has shown is not there after a power cut")
            self.case.act(connection)
        if (now := dump(connection)) != self.after:
            raise Broken(f"in the end there is {difference(now, self.after)}")
        connection.close()

    def _shown(self) -> Dump:
        """What the next life finds (before it changes the schema), until it loses its power."""
        if self.case.migrates:
            looker = apsw.Connection(str(PATH), vfs=self.disk.name)
        else:
            looker = self._open()
        found = dump(looker)
        self.disk.power_loss()
        looker.close()
        return found


class Stage:
    """Plays one case; `directory` is best in memory."""

    def __init__(self, case: Case, directory: Path) -> None:
        self.case = case
        self.points = Counter[str]()
        """Fault points by the name of the fault."""
        self._directory = directory
        self._files = dict[str, bytes]() if case.empty else self._populated()
        with self._disk() as disk:
            looker = apsw.Connection(str(PATH), vfs=disk.name)
            self._before = dump(looker)
            looker.close()
        with self._disk() as disk:
            with knowing(case.migration):
                connection = open_writer(PATH, vfs=disk.name)
            case.act(connection)
            self._after = dump(connection)
            connection.close()

        known = storage.database.migrations()
        self._between = [self._migrated(known[:n]) for n in range(1, len(known) * case.empty)]

    def _migrated(self, known: tuple[tuple[int, str], ...]) -> Dump:
        """What these migrations alone make of nothing."""
        all_of_them = storage.database.migrations
        storage.database.migrations = cache(lambda: known)
        try:
            connection = open_writer(Path(":memory:"))
        finally:
            storage.database.migrations = all_of_them
        return dump(connection)

    def play_all(self, *, pairs: bool = False) -> None:
        """Each fault at each operation; with `pairs` also each at each operation after it.

        Raises:
            Broken: something promised does not hold.
        """
        for fault in FAULTS:
            for number in count(1):
                if not self._play(fault.name, (fault, number)):
                    break
                for second in FAULTS if pairs else ():
                    for later in count(1):
                        if not self._play("pairs", (fault, number), (second, later)):
                            break

    def _play(self, kind: str, *faults: tuple[Fault, int]) -> bool:
        """Count it if it did harm. False: there is no such operation any more."""
        with self._disk() as disk:
            play = Play(self.case, disk, self._before, self._after, self._between)
            try:
                struck = True
                for nth, (fault, number) in enumerate(faults):
                    struck = struck and play.life(fault, number, later=nth > 0)
                play.last()
            except Exception as error:
                where = " and ".join(f"{fault.name} at operation {n}" for fault, n in faults)
                why = str(error) if isinstance(error, Broken) else repr(error)
                raise Broken(f"{self.case.name}, {where}: {why}") from error
            self.points[kind] += struck and play.harmed
            return struck

    def _populated(self) -> dict[str, bytes]:
        """The files of a server that was killed: a good part of them is still in the log."""
        with self._disk() as disk:
            connection = open_writer(PATH, vfs=disk.name)
            populate(connection)
            disk.crash()
            connection.close()
            return {path.name: path.read_bytes() for path in disk.files()}

    @contextmanager
    def _disk(self) -> Iterator[Disk]:
        disk = Disk(f"failing-{next(NUMBERS)}", self._directory / "disk", random.Random(1))
        disk.install(getattr(self, "_files", {}))
        try:
            yield disk
        finally:
            disk.unregister()
            shutil.rmtree(self._directory / "disk")


def difference(found: Dump, expected: Dump) -> str:
    """Where two contents differ, in short."""
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            extra = [row for row in found.get(name, []) if row not in expected.get(name, [])]
            missing = [row for row in expected.get(name, []) if row not in found.get(name, [])]
            return f"in {name} {extra[:3]} too much and {missing[:3]} too few"
    return "no difference"
