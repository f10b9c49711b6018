"""Deeds with the shape of what is left: depth, counts, names, modes, sizes, holes."""

import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.hostile.scene import Scene, chunks

LEVELS_MAX = 6_000
ENTRIES_MAX = 100_000
SPARSE_BYTES_MAX = 4 << 40
HEAVY_BYTES = 300 << 20
F_SETLEASE = 1024

NAMES = (
    b"new\nline",
    b"\nexit 0\n",
    b"carriage\rreturn",
    b"tab\tand\x01control\x7f",
    b"\x1b]0;title\x07\x1b[2J",
    b"\xff\xfe\xfd",
    b"half \xc3",
    b"\xed\xa0\x80 surrogate",
    b"..x",
    b"...",
    b". .",
    b" ",
    b"-rf",
    b"--",
    b"*",
    b"%2e%2e%2fup",
    b"..%2f",
    b"back\\slash",
    b"quote'\"`$(id)",
    b"<script>alert(1)</script>",
    "\u202egpj.exe".encode(),
    "e\u0301".encode(),
    b"a" * 255,
    ("\U0001f600" * 63).encode(),
    b"CON",
    b".headway",
    b"log",
    b"exit",
)


def depth(scene: Scene) -> None:
    """Thousands of directories inside each other."""
    name = "d" * scene.rng.choice((1, 1, 1, 40, 255))
    os.chdir(scene.place())
    for _ in range(min(scene.size(1, 3.8), LEVELS_MAX)):
        os.mkdir(name)
        os.chdir(name)
        if scene.rng.random() < 0.01:
            Path("beside").write_text("x")
    Path("bottom").write_text("the bottom")


def count(scene: Scene) -> None:
    """Thousands of entries in one directory."""
    entries = ENTRIES_MAX if scene.heavy else scene.size(1, 3.5)
    directory = scene.fresh() if scene.rng.random() < 0.6 else scene.place()
    with suppress(FileExistsError):
        directory.mkdir()
    os.chdir(directory)
    kind = scene.rng.choice(("file", "file", "directory", "link"))
    for number in range(entries):
        if kind == "file":
            os.close(os.open(f"e{number}", os.O_CREAT | os.O_WRONLY, 0o600))
        elif kind == "directory":
            os.mkdir(f"e{number}")
        else:
            os.symlink(f"e{number + 1}", f"e{number}")


def bushy(scene: Scene) -> None:
    """A tree that is wide and deep, with a little in each directory."""

    def grow(levels: int) -> None:
        for number in range(scene.rng.randint(1, 3)):
            Path(f"f{number}").write_bytes(b"x" * number)
        if levels:
            for number in range(3):
                os.mkdir(f"d{number}")
                os.chdir(f"d{number}")
                grow(levels - 1)
                os.chdir("..")

    directory = scene.fresh(scene.artifacts)
    directory.mkdir()
    os.chdir(directory)
    grow(scene.rng.randint(1, 6 if scene.heavy else 4))


def names(scene: Scene) -> None:
    """Names that a shell, a terminal, JSON or a URL would stumble over."""
    os.chdir(scene.rng.choice((scene.artifacts, scene.work)))
    for name in scene.rng.sample(NAMES, scene.rng.randint(1, len(NAMES))):
        with suppress(OSError):
            if scene.rng.random() < 0.7:
                Path(os.fsdecode(name)).write_bytes(name)
            else:
                os.mkdir(name)
                Path(os.fsdecode(name), "inside").write_bytes(name)


def modes(scene: Scene) -> None:
    """Directories and files that may not be read, entered or changed."""
    directory = scene.fresh(scene.rng.choice((scene.artifacts, scene.work)))
    inner = directory / "inner"
    inner.mkdir(parents=True)
    for place in (directory, inner):
        for mode in (0o000, 0o111, 0o222, 0o444, 0o7777):
            path = place / f"m{mode:o}"
            path.write_text("hidden")
            path.chmod(mode)
    modes = (0o000, 0o100, 0o200, 0o400, 0o500, 0o7777)
    inner.chmod(scene.rng.choice(modes))
    directory.chmod(scene.rng.choice(modes))


def locked(scene: Scene) -> None:
    """The run directory itself, or what headway keeps in it."""
    scene.spoil("end", "output")
    if scene.rng.random() < 0.5:
        name = scene.rng.choice(scene.standard())
        path = scene.root / name
        if not path.is_symlink():
            path.chmod(0)
    else:
        scene.root.chmod(scene.rng.choice((0o000, 0o100, 0o400, 0o500)))


def locked_places(scene: Scene) -> None:
    """The directories that are collected and removed."""
    scene.artifacts.chmod(scene.rng.choice((0o000, 0o100, 0o400, 0o500)))
    scene.work.chmod(scene.rng.choice((0o000, 0o100, 0o400, 0o500)))


def sparse(scene: Scene) -> None:
    """A file that is very long and holds almost nothing."""
    for _ in range(scene.rng.randint(1, 4)):
        with scene.fresh(scene.rng.choice((scene.artifacts, scene.work))).open("wb") as file:
            size = min(scene.size(9, 12.6), SPARSE_BYTES_MAX)
            file.truncate(size)
            for _ in range(scene.rng.randint(0, 3)):
                file.seek(scene.rng.randrange(size))
                file.write(b"data")


def bulk(scene: Scene) -> None:
    """Real data."""
    total = HEAVY_BYTES if scene.heavy else scene.size(3, 7.3)
    with scene.fresh(scene.artifacts).open("wb") as file:
        for piece in chunks(total):
            file.write(scene.rng.randbytes(1 << 10) * (piece >> 10) + b"x" * (piece & 1023))


def preallocated(scene: Scene) -> None:
    """Blocks without data."""
    with scene.fresh(scene.artifacts).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, scene.size(4, 8))


def extended(scene: Scene) -> None:
    """Extended attributes."""
    for path in (scene.artifacts, scene.work, scene.root):
        with suppress(OSError):
            os.setxattr(path, "user.hostile", scene.rng.randbytes(200))


def leased(scene: Scene) -> None:
    """A lease on a file: to open it waits for the holder, unless that is done without blocking."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # which an open sends to the holder
    own = scene.fresh(scene.artifacts)
    for path in (own, scene.report, scene.root / "times", scene.root / "stdin"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.write(descriptor, b'{"progress": 0.5}\n')
            fcntl.fcntl(descriptor, F_SETLEASE, fcntl.F_WRLCK)
