"""A disk for SQLite that can lose power: a VFS that keeps what was synced apart from what was not.

Reads and writes go to real files (in memory, best on tmpfs), which stand for the operating system's
page cache: they survive the death of a process. Beside them every file has the content that its
last sync put on the disk, and the writes since then. `power_loss` makes of the two what a disk may
show after a power cut: of the unsynced writes any subset, some torn at a sector's edge (the model
of SQLite's own crash tests, and of Pillai et al., "All File Systems Are Not Created Equal", 2014).

A crash ends the life of every open file: its bytes are copied to where the next life opens them, so
that nothing which the dead server's objects still do can reach it. A fault may end it in the middle
of an operation: it calls `crash` or `power_loss`, and raises.
"""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR_BYTES = 512
LOST = 0.5
"""How likely it is that an unsynced write is not there after a power cut."""

Change = tuple[int, bytes] | int
"""A write at an offset, or a truncation to a length."""

Fault = Callable[[str, str], None]
"""Called before each operation with its kind and the file's name; raises what shall go wrong."""


@dataclass(slots=True)
class Image:
    """A file on the platter, and the writes and truncations that are still on their way.

    What was synced is only noted: the content is computed when the platter is read.
    """

    content: bytearray = field(default_factory=bytearray)
    synced: list[Change] = field(default_factory=list)
    pending: list[Change] = field(default_factory=list)

    def sync(self) -> None:
        """Put all pending writes on the platter."""
        self.synced += self.pending
        self.pending.clear()

    def platter(self) -> bytes:
        """The content that survives a power loss."""
        for change in self.synced:
            apply(self.content, change)
        self.synced.clear()
        return bytes(self.content)


def apply(content: bytearray, change: Change) -> None:
    """Do one write, or one truncation to a length."""
    if isinstance(change, int):
        del content[change:]
        return
    offset, data = change
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


class Disk(apsw.VFS):
    """A VFS named `name`. `operations` counts what was asked of it, `life` the crashes so far."""

    def __init__(self, name: str, directory: Path, rng: random.Random) -> None:
        super().__init__(name, "unix")
        self.name = name
        self.operations = 0
        self.fault: Fault | None = None
        self._directory = directory
        self._rng = rng
        self.life = 0
        self._images: dict[str, Image] = {}
        self._place().mkdir(parents=True)

    def database(self, path: Path) -> Path:
        """Where the file that SQLite knows as `path` lies at the moment."""
        return self._place() / path.name

    def crash(self) -> None:
        """The process died: the page cache is as it was."""
        self._next_life({path.name: path.read_bytes() for path in self.files()})

    def install(self, contents: dict[str, bytes]) -> None:
        """Put files on the disk that are synced already."""
        for name, content in contents.items():
            (self._place() / name).write_bytes(content)
            self._images[name] = Image(bytearray(content))

    def lose_unsynced(self, name: str) -> None:
        """The file's sync failed: Linux then takes its pages for clean and never writes them.

        See Rebello et al., "Can Applications Recover from fsync Failures?", 2020.
        """
        self._images[name].pending.clear()

    def power_loss(self) -> None:
        """The host died: of what was not synced, some is there, some is not, and some is torn."""
        alive = {path.name for path in self.files()}
        for image in self._images.values():
            image.pending = [self._torn(c) for c in image.pending if self._rng.random() > LOST]
            image.sync()
        self._next_life({n: i.platter() for n, i in self._images.items() if n in alive})

    def operation(self, kind: str, name: str) -> None:
        """Count an operation, and let the pending fault strike."""
        self.operations += 1
        if self.fault is not None:
            self.fault(kind, name)

    def image(self, name: str) -> Image:
        """The image of a file."""
        return self._images.setdefault(name, Image())

    def _torn(self, change: Change) -> Change:
        if isinstance(change, int) or self._rng.random() > 0.25:
            return change
        sectors = len(change[1]) // SECTOR_BYTES
        return change[0], change[1][: SECTOR_BYTES * self._rng.randint(0, sectors)]

    def _place(self) -> Path:
        return self._directory / f"life-{self.life}"

    def files(self) -> list[Path]:
        """The files with their present content, shared memory excluded."""
        # The index of the log ("-shm") is memory: SQLite makes it anew after a crash.
        return [path for path in self._place().iterdir() if not path.name.endswith("-shm")]

    def _next_life(self, contents: dict[str, bytes]) -> None:
        before = self._place()
        self.life += 1
        self._place().mkdir()
        for name, content in contents.items():
            (self._place() / name).write_bytes(content)
        shutil.rmtree(before, ignore_errors=True)

    # ---- what SQLite calls -------------------------------------------------------------------

    def xFullPathname(self, name: str) -> str:
        return str(self.database(Path(name)))

    def xOpen(self, name: Any, flags: list[int]) -> "File":
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else str(name))
        self.operation("open", path.name)
        return File(self, path, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        path = Path(filename)
        if path.parent == self._place():
            self.operation("delete", path.name)
            super().xDelete(filename, syncdir)
            self._images.pop(path.name, None)


class File(apsw.VFSFile):
    """An open file of one life. After that life it works on bytes that are never read again."""

    def __init__(self, disk: Disk, path: Path, flags: list[int]) -> None:
        self._disk = disk
        self._name = path.name
        self._life = disk.life  # it has just been opened
        self._image = disk.image(path.name)
        super().__init__("unix", str(path), flags)

    def _operation(self, kind: str) -> Image:
        if self._life != self._disk.life:
            return Image()
        self._disk.operation(kind, self._name)
        return self._image

    def xRead(self, amount: int, offset: int) -> bytes:
        disk = self._disk
        if self._life == disk.life:  # `_operation` by hand: the call costs as much as the read
            disk.operations += 1
            if disk.fault is not None:
                disk.fault("read", self._name)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        disk = self._disk
        if self._life == disk.life:
            disk.operations += 1
            if disk.fault is not None:
                disk.fault("write", self._name)
            self._image.pending.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        image = self._operation("truncate")
        super().xTruncate(newsize)
        image.pending.append(newsize)

    def xSync(self, flags: int) -> None:
        self._operation("sync").sync()
