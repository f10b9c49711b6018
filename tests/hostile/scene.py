"""What a deed is given: the run's own paths, its random numbers, and a note that no server knows.

The note lies outside the data directory. The program writes into it before it acts: its run
directory, each deed, what the deed spoils, all output, and last how it ends. So the campaign knows
what to expect of the run. `spoils` is one of

    end       the program tampers with its own end: any terminal status is right
    output    it tampers with its own log: nothing is expected of the output
    tail      processes that it left may add to its output
    middle    it exceeds its output limit
"""

import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

RAZED = "razed.times"
"""In it each program that removes the directories of all runs notes when it begins and ends."""

STANDARD = ("log", "times", "times.new", "exit", "report", "stdin", "work", "artifacts")
"""What headway may keep in a run directory, apart from what is there at the moment."""


def note_path(notes: Path, name: str) -> Path:
    """Where the program of this name writes what it does."""
    return notes / re.sub(r"[^\w~-]", "-", name)


@dataclass(slots=True)
class Scene:
    """One hostile run, seen from its program."""

    name: str
    rng: random.Random
    root: Path
    victims: Path
    notes: Path
    heavy: bool = False
    """Whether the most expensive sizes are allowed."""
    note: Path = field(init=False)
    present: list[str] = field(init=False)
    """What headway has put into the run directory."""

    def __post_init__(self) -> None:
        self.present = sorted(os.listdir(self.root))
        self.note = note_path(self.notes, self.name)

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def report(self) -> Path:
        return self.root / "report"

    def place(self) -> Path:
        """A directory of the run in which something may be made."""
        return self.rng.choice((self.artifacts, self.artifacts, self.work, self.root))

    def fresh(self, parent: Path | None = None) -> Path:
        """A path at which nothing is yet."""
        return (parent or self.place()) / f"n{self.rng.getrandbits(40):x}"

    def size(self, low: float, high: float) -> int:
        """Any number between these powers of ten, small ones as often as large ones."""
        return int(10 ** self.rng.uniform(low, high))

    def standard(self) -> list[str]:
        """The names of the files that headway keeps beside the program's; none is a link yet."""
        return sorted({*STANDARD, *self.present})

    def others(self) -> list[Path]:
        """The directories of other hostile runs that were lately active."""
        notes = [path for path in self.notes.iterdir() if path.suffix == "" and path != self.note]
        notes.sort(key=lambda path: path.stat().st_mtime_ns)
        return [Path(root) for path in notes[-10:] if (root := Note.read(path).root)]

    def all_runs(self) -> list[Path]:
        """The directories of all runs, also of well-behaved ones: to be linked to, only."""
        with suppress(OSError):
            return sorted(self.root.parent.iterdir())
        return []

    # ---- the note ----------------------------------------------------------------------------

    def tell(self, note: Path | None = None, **what: object) -> None:
        """Write it down before it is done."""
        descriptor = os.open(note or self.note, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, json.dumps(what).encode() + b"\n")
        finally:
            os.close(descriptor)

    def spoil(self, *what: str) -> None:
        """From now on this cannot be expected of the run."""
        for one in what:
            self.tell(spoils=one)

    def spoil_other(self, root: Path, *what: str) -> None:
        """The same of another run."""
        for note in self.notes.iterdir():
            if note.suffix == "" and Note.read(note).root == str(root):
                for one in what:
                    self.tell(note, spoils=one)

    def note_razing(self) -> None:
        """From now on, or until now, all that any run has left may be gone."""
        self.tell(self.notes / RAZED, at=boot_s())

    def say(self, data: bytes, descriptor: int = 1) -> None:
        """Write output that must arrive, byte for byte and in this order."""
        self.will_say(data)
        write_all(descriptor, data)

    def will_say(self, data: bytes) -> None:
        """Note output that something else is about to write."""
        with self.note.with_suffix(".said").open("ab") as file:
            file.write(data)


@dataclass(slots=True)
class Note:
    """What a hostile program has written down."""

    root: str = ""
    deeds: list[str] = field(default_factory=list)
    spoils: set[str] = field(default_factory=set)
    code: int | None = None
    signal: int | None = None
    ended_at: float | None = None
    """On the boot-time clock."""

    @classmethod
    def read(cls, path: Path) -> "Note":
        """All whole lines so far."""
        note = cls()
        with suppress(OSError):
            for line in path.read_bytes().split(b"\n")[:-1]:
                note._take(json.loads(line))
        return note

    def _take(self, what: dict[str, object]) -> None:
        match what:
            case {"root": str(root)}:
                self.root = root
            case {"deed": str(deed)}:
                self.deeds.append(deed)
            case {"spoils": str(spoilt)}:
                self.spoils.add(spoilt)
            case {"code": int(code), "at": float(at)}:
                self.code, self.ended_at = code, at
            case {"signal": int(number), "at": float(at)}:
                self.signal, self.ended_at = number, at


def razed_since(notes: Path, begin: float) -> bool:
    """Whether the directories of all runs were removed after a moment on the boot-time clock."""
    with suppress(OSError):
        lines = (notes / RAZED).read_bytes().split(b"\n")[:-1]
        # A razing that is under way has noted only its beginning.
        return len(lines) % 2 == 1 or any(json.loads(line)["at"] >= begin for line in lines)
    return False


def boot_s() -> float:
    """The clock that a set of the host's time does not change."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def write_all(descriptor: int, data: bytes) -> None:
    """All of it, also where the descriptor does not block."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            time.sleep(0.001)


def remove(path: Path) -> None:
    """Take away what is there, of any kind."""
    with suppress(OSError):
        path.unlink()
        return
    with suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)


def chunks(total_bytes: int, piece_bytes: int = 1 << 20) -> Iterator[int]:
    """`total_bytes` in pieces."""
    while total_bytes > 0:
        yield min(total_bytes, piece_bytes)
        total_bytes -= piece_bytes
